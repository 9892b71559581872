package certificate

import (
	"crypto/tls"
	"fmt"
	"math"
	"time"

	certtls "github.com/cert-manager/cert-manager/pkg/server/tls"
)

// FromFiles reads a certificate and its key from files, such as those of a
// mounted Secret that cert-manager fills, and reads them again whenever they
// change.
func FromFiles(cert, key string) (Source, error) {
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return &certtls.FileCertificateSource{
		CertPath: cert, KeyPath: key,
		UpdateInterval: time.Second,
		// The source counts failures over its whole life and gives up at the
		// limit. Files read in the middle of a renewal are no reason to exit: the
		// certificate in use stays until the next one can be read.
		MaxFailures: math.MaxInt,
	}, nil
}
