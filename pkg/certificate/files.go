package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	certtls "github.com/cert-manager/cert-manager/pkg/server/tls"
)

// caFile is where cert-manager puts the CA, beside a certificate that it signed.
const caFile = "ca.crt"

// FromFiles reads a certificate and its key from files, such as those of a
// mounted Secret that cert-manager fills, and reads them again whenever they
// change.
//
// Another replica is known by the certificate that the file has now or had before, or
// by the CA in ca.crt beside it, if there is one: the kubelets of two nodes do not
// renew a mounted Secret at the same moment.
func FromFiles(cert, key string) (ReplicaSource, error) {
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return &files{ca: filepath.Join(filepath.Dir(cert), caFile), CertificateSource: &certtls.FileCertificateSource{
		CertPath: cert, KeyPath: key,
		UpdateInterval: time.Second,
		// The source counts failures over its whole life and gives up at the
		// limit. Files read in the middle of a renewal are no reason to exit: the
		// certificate in use stays until the next one can be read.
		MaxFailures: math.MaxInt,
	}}, nil
}

// files is a certificate in files.
type files struct {
	certtls.CertificateSource
	ca string // its path

	mu           sync.Mutex
	last, before []byte // the certificate as DER, and the one before
}

// GetCertificate returns the certificate that was read last.
func (f *files) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := f.CertificateSource.GetCertificate(hello)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !bytes.Equal(c.Certificate[0], f.last) {
		f.last, f.before = c.Certificate[0], f.last
	}
	return c, nil
}

func (f *files) vouches(presented []*x509.Certificate, name string, now time.Time) error {
	if _, err := f.GetCertificate(nil); err != nil {
		return err
	}
	f.mu.Lock()
	ours := bytes.Equal(presented[0].Raw, f.last) || bytes.Equal(presented[0].Raw, f.before)
	f.mu.Unlock()
	if ours {
		return nil
	}
	ca, err := os.ReadFile(f.ca)
	if err != nil {
		return errors.New("the certificate is not the one in our file, nor was it before; and there is no " + caFile + " beside it to judge it by")
	}
	return signedBy(ca, presented, name, now)
}
