package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Authority is the certificate authority of one cluster. It vouches for the
// servers, and for users: a client certificate's common name is the user, its
// organizations are the groups. The key is never written to disk.
type Authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

// New returns a new authority, which vouches for everything for the lifetime.
func New(lifetime time.Duration) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the cluster's CA: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "local cluster CA"}, SerialNumber: serial(),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the cluster's CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make the cluster's CA: %w", err)
	}
	return &Authority{key: key, cert: cert, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// Certificate is the authority's own, which clients trust.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// Server returns a certificate and key, PEM, for what serves under these names
// and addresses; it is good for clients too, as etcd's peers need.
func (a *Authority) Server(hosts ...string) (cert, key []byte, err error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: hosts[0]},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue(template)
}

// Client returns a certificate and key, PEM, that make their holder the user,
// member of the groups.
func (a *Authority) Client(user string, groups []string) (cert, key []byte, err error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (a *Authority) issue(template *x509.Certificate) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate for %s: %w", template.Subject.CommonName, err)
	}
	template.SerialNumber = serial()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), a.cert.NotAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate for %s: %w", template.Subject.CommonName, err)
	}
	key, err = encodeKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, nil
}

func encodeKey(private crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// serial numbers need only differ; 16 random bytes do.
func serial() *big.Int {
	var b [16]byte
	rand.Read(b[:]) // never fails, by its documentation
	return new(big.Int).SetBytes(b[:])
}

// Write writes what the control plane's programs read: the CA's certificate, the
// certificate and key of servers at these hosts, and the keys of the tokens of service
// accounts.
func (a *Authority) Write(dir string, hosts ...string) error {
	if err := a.WriteCertificate(filepath.Join(dir, "ca.crt")); err != nil {
		return err
	}
	if err := a.WriteServer(filepath.Join(dir, "server"), hosts...); err != nil {
		return err
	}
	return WriteTokenKeys(dir)
}

// WriteCertificate writes the authority's own certificate.
func (a *Authority) WriteCertificate(path string) error {
	return writeAll(map[string][]byte{path: a.pem})
}

// WriteTokenKeys writes tokens.key, which signs the tokens of service accounts, and
// tokens.pub, which verifies them.
func WriteTokenKeys(dir string) error {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the service-account key: %w", err)
	}
	tokens, err := encodeKey(signer)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return fmt.Errorf("encode the service-account key: %w", err)
	}
	verifier := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return writeAll(map[string][]byte{filepath.Join(dir, "tokens.key"): tokens, filepath.Join(dir, "tokens.pub"): verifier})
}

// WriteServer writes base.crt and base.key for what serves at the hosts.
func (a *Authority) WriteServer(base string, hosts ...string) error {
	cert, key, err := a.Server(hosts...)
	if err != nil {
		return err
	}
	return writeAll(map[string][]byte{base + ".crt": cert, base + ".key": key})
}

// WriteClient writes base.crt and base.key, which make their holder the user.
func (a *Authority) WriteClient(base, user string, groups ...string) error {
	cert, key, err := a.Client(user, groups)
	if err != nil {
		return err
	}
	return writeAll(map[string][]byte{base + ".crt": cert, base + ".key": key})
}

// writeAll writes files that only this user may read.
func writeAll(files map[string][]byte) error {
	for path, data := range files {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return fmt.Errorf("write the cluster's credentials: %w", err)
		}
	}
	return nil
}

// Kubeconfig writes to path the credentials of a user for the API server.
func (a *Authority) Kubeconfig(path, server, user string, groups []string) error {
	cert, key, err := a.Client(user, groups)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["local"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: a.pem}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts["local"] = &clientcmdapi.Context{Cluster: "local", AuthInfo: user}
	config.CurrentContext = "local"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write the kubeconfig of %s: %w", user, err)
	}
	return nil
}
