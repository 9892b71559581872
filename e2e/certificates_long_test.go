//go:build long

package e2e

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// serviceName is how the API server calls the webhook where there is a Service.
const serviceName = "heteroaccel-webhook.heteroaccel-system.svc"

// shown is the certificate that the webhook shows on a new connection.
func shown(ctx context.Context, s *stack.Stack) (*x509.Certificate, error) {
	at, err := url.Parse(s.ReviewURL("webhook", ""))
	if err != nil {
		return nil, err
	}
	// Verified by accepted, which has to see what is wrong with it.
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	connection, err := dialer.DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// accepted is the certificate that the webhook shows, which must be one that the API
// server trusts by the caBundle of before.
func accepted(ctx context.Context, s *stack.Stack) (*x509.Certificate, error) {
	bundle, err := caBundle(ctx, s)
	if err != nil {
		return nil, err
	}
	leaf, err := shown(ctx, s)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, errors.New("there is no certificate in the caBundle")
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: serviceName}); err != nil {
		return nil, fmt.Errorf("the API server would not trust what is served: %w", err)
	}
	return leaf, nil
}

// trusted returns nil once a new connection is trusted and the API server has a pod
// mutated.
func trusted(ctx context.Context, s *stack.Stack) error {
	if _, err := accepted(ctx, s); err != nil {
		return err
	}
	p, err := would(ctx, s, anyPod("", "face-recognition", "any"))
	if err == nil && kind(p) == "" {
		err = errors.New("the pod got no kind")
	}
	return err
}

func tlsSecret(t *testing.T, s *stack.Stack, name string) *corev1.Secret {
	t.Helper()
	secret, err := s.Client().CoreV1().Secrets(stack.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// parse reads the first certificate of PEM.
func parse(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("there is no certificate in %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// expire replaces the webhook's certificate, and its CA if that is to end too, by such as
// ended a minute ago, with the CA's own key, in their Secrets and in the caBundle.
func expire(t *testing.T, s *stack.Stack, withCA bool) {
	t.Helper()
	ended := time.Now().Add(-time.Minute)
	authority, leaf := tlsSecret(t, s, "heteroaccel-ca"), tlsSecret(t, s, stack.WebhookSecret)
	pair, err := tls.X509KeyPair(authority.Data["tls.crt"], authority.Data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	signer := pair.PrivateKey.(crypto.Signer)
	if withCA {
		ca := parse(t, authority.Data["tls.crt"])
		authority.Data["tls.crt"] = reissue(t, ca, ca, signer.Public(), signer, ended)
		authority.Data["ca.crt"] = authority.Data["tls.crt"]
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	leaf.Data["tls.crt"] = reissue(t, parse(t, leaf.Data["tls.crt"]), parse(t, authority.Data["tls.crt"]), key.Public(), signer, ended)
	leaf.Data["tls.key"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	leaf.Data["ca.crt"] = authority.Data["tls.crt"]
	for _, secret := range []*corev1.Secret{authority, leaf} {
		if _, err := s.Client().CoreV1().Secrets(stack.Namespace).Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	configs := s.Client().AdmissionregistrationV1().MutatingWebhookConfigurations()
	config, err := configs.Get(t.Context(), "heteroaccel", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config.Webhooks[0].ClientConfig.CABundle = authority.Data["tls.crt"]
	if _, err := configs.Update(t.Context(), config, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// reissue signs a certificate like another for a key, as PEM, that ends at a time.
func reissue(t *testing.T, like, parent *x509.Certificate, key crypto.PublicKey, signer crypto.Signer, ends time.Time) []byte {
	t.Helper()
	template := *like
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = ends.Add(-time.Hour), ends
	template.SignatureAlgorithm, template.PublicKey = x509.UnknownSignatureAlgorithm, nil
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, key, signer)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// certificatesReady waits until cert-manager calls each Certificate Ready.
func certificatesReady(t *testing.T, s *stack.Stack) {
	t.Helper()
	said, err := s.Kubectl(t.Context(), "-n", stack.Namespace, "wait", "--for=condition=Ready", "--timeout=180s", "certificates", "--all")
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

func patchCertificate(t *testing.T, s *stack.Stack, patch string) {
	t.Helper()
	if said, err := s.Kubectl(t.Context(), "-n", stack.Namespace, "patch", "certificate", "heteroaccel-webhook", "--type=merge", "-p", patch); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

func certificateNames(t *testing.T, s *stack.Stack) []string {
	t.Helper()
	said, err := s.Kubectl(t.Context(), "-n", stack.Namespace, "get", "certificate", "heteroaccel-webhook", "-o", "jsonpath={.spec.dnsNames[*]}")
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return strings.Fields(said)
}

// applyCertificates applies what the manifests have of cert-manager's kinds.
func applyCertificates(t *testing.T, s *stack.Stack) {
	t.Helper()
	rendered, err := s.Kubectl(t.Context(), "kustomize", "testdata/cert-manager")
	if err != nil {
		t.Fatal(err)
	}
	var documents []string
	for _, d := range strings.Split(rendered, "\n---\n") {
		if strings.HasPrefix(d, "apiVersion: cert-manager.io/") {
			documents = append(documents, d)
		}
	}
	if len(documents) != 4 { // two Issuers and two Certificates
		t.Fatalf("the manifests have %d objects of cert-manager", len(documents))
	}
	if said, err := s.KubectlInput(t.Context(), strings.Join(documents, "\n---\n"), "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

// caBundle is what the API server verifies the webhook with.
func caBundle(ctx context.Context, s *stack.Stack) ([]byte, error) {
	config, err := s.Client().AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, "heteroaccel", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return config.Webhooks[0].ClientConfig.CABundle, nil
}
