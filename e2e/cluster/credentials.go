package cluster

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
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority is the certificate authority of one cluster. It vouches for the
// servers, and for users: a client certificate's common name is the user, its
// organizations are the groups. The key is never written to disk.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

// lifetime of every certificate: longer than a demonstration is left open.
const lifetime = 30 * 24 * time.Hour

func newAuthority() (*authority, error) {
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
	return &authority{key: key, cert: cert, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// server returns a certificate and key, PEM, for what serves under these names
// and addresses; it is good for clients too, as etcd's peers need.
func (a *authority) server(hosts ...string) (cert, key []byte, err error) {
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

// client returns a certificate and key, PEM, that make their holder the user,
// member of the groups.
func (a *authority) client(user string, groups []string) (cert, key []byte, err error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (a *authority) issue(template *x509.Certificate) (cert, key []byte, err error) {
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

// write writes what the control plane's programs read: the CA's
// certificate, the certificate and key of servers at these hosts, and the key
// that signs the tokens of service accounts.
func (a *authority) write(dir string, hosts ...string) error {
	cert, key, err := a.server(hosts...)
	if err != nil {
		return err
	}
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
	return writeAll(map[string][]byte{
		filepath.Join(dir, "ca.crt"):     a.pem,
		filepath.Join(dir, "server.crt"): cert, filepath.Join(dir, "server.key"): key,
		filepath.Join(dir, "tokens.key"): tokens, filepath.Join(dir, "tokens.pub"): verifier,
	})
}

// writeServer writes base.crt and base.key for what serves at the hosts.
func (a *authority) writeServer(base string, hosts ...string) error {
	cert, key, err := a.server(hosts...)
	if err != nil {
		return err
	}
	return writeAll(map[string][]byte{base + ".crt": cert, base + ".key": key})
}

// writeClient writes base.crt and base.key, which make their holder the user.
func (a *authority) writeClient(base, user string, groups ...string) error {
	cert, key, err := a.client(user, groups)
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

// kubeconfig writes to path the credentials of a user for the API server.
func (a *authority) kubeconfig(path, server, user string, groups []string) error {
	cert, key, err := a.client(user, groups)
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

// KubeconfigFor returns the path of a kubeconfig for a user, with the rights
// that RBAC gives the user and the groups: none to begin with. A service
// account is the user system:serviceaccount:NAMESPACE:NAME in the groups
// system:serviceaccounts and system:serviceaccounts:NAMESPACE. Called again
// for a user it makes new credentials, with the groups given then.
func (c *Cluster) KubeconfigFor(user string, groups ...string) (string, error) {
	name := strings.NewReplacer(":", "_", "/", "_").Replace(user)
	return c.KubeconfigAt(name, c.server, user, groups...)
}

// KubeconfigAt is KubeconfigFor in a file of that name, for an API server that is
// reached at another URL, such as through a proxy.
func (c *Cluster) KubeconfigAt(name, server, user string, groups ...string) (string, error) {
	path := c.path("etc", name+".kubeconfig")
	return path, c.ca.kubeconfig(path, server, user, groups)
}

// Certificate writes NAME.crt and NAME.key, PEM, for a server at the hosts:
// names or addresses. The cluster's CA, which CA has the path of, vouches for
// it.
func (c *Cluster) Certificate(name string, hosts ...string) (cert, key string, err error) {
	base := c.path("pki", name)
	return base + ".crt", base + ".key", c.ca.writeServer(base, hosts...)
}

// ClientCertificate writes NAME.crt and NAME.key, PEM, that make their holder the
// user. The cluster's CA vouches for it.
func (c *Cluster) ClientCertificate(name, user string) (cert, key string, err error) {
	base := c.path("pki", name)
	return base + ".crt", base + ".key", c.ca.writeClient(base, user)
}

// CA is the path of the certificate of the cluster's CA.
func (c *Cluster) CA() string { return c.path("pki", "ca.crt") }
