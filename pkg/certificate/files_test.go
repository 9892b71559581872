package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/renameio/v2"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/serve"
	"heteroaccel.io/pkg/serve/servetest"
)

// issue writes a certificate for localhost, with its serial number, as
// cert-manager renews a mounted Secret: each file replaced in one step.
func issue(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: der},
		"tls.key": {Type: "PRIVATE KEY", Bytes: rawKey},
	} {
		if err := renameio.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRenewal renews a certificate under load: new connections get the new
// one, and no request fails.
func TestRenewal(t *testing.T) {
	dir := t.TempDir()
	issue(t, dir, 1)
	certificate, err := FromFiles(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if err := Renew(ctx, certificate); err != nil {
			t.Error(err)
		}
	})
	addr := servetest.FreeAddress(t)
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	wg.Go(func() {
		if err := serve.Run(ctx, addr, hello, ServerConfig(certificate), zerolog.Nop()); err != nil {
			t.Error(err)
		}
	})
	servetest.Until(t, func() error { _, err := ask(addr); return err })

	var failed, asked atomic.Int64
	load, stop := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for load.Err() == nil {
				asked.Add(1)
				if _, err := ask(addr); err != nil {
					failed.Add(1)
					t.Errorf("during the renewal: %v", err)
					return
				}
			}
		})
	}
	issue(t, dir, 2)
	servetest.Until(t, func() error {
		serial, err := ask(addr)
		if err == nil && serial != 2 {
			err = fmt.Errorf("certificate %d is served, want 2", serial)
		}
		return err
	})
	stop()
	clients.Wait()
	if failed.Load() > 0 || asked.Load() == 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
}

// ask makes one request on a connection of its own, and returns the serial
// number of the certificate it met.
func ask(addr string) (int64, error) {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // the test compares serial numbers
	}}
	resp, err := client.Get("https://" + addr)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return resp.TLS.PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestMissingFiles(t *testing.T) {
	if _, err := FromFiles(filepath.Join(t.TempDir(), "tls.crt"), os.DevNull); err == nil {
		t.Error("a missing certificate was accepted")
	}
}
