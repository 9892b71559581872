package healthcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// Target is whom to ask.
type Target struct {
	// URL is that of the page that tells by its status whether the server is healthy.
	URL string
	// CAFile has the certificates, PEM, of the CA that vouches for a server of HTTPS;
	// "" for those of the system.
	CAFile string
	// Timeout is how long the answer may take.
	Timeout time.Duration
}

// Check rejects values that make no sense.
func (t Target) Check() error {
	switch u, err := url.Parse(t.URL); {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is no URL of a health check: give one such as http://127.0.0.1:8081/readyz", t.URL)
	case t.Timeout <= 0:
		return errors.New("--timeout must be longer than 0")
	}
	return nil
}

// longestAnswer is how much of an answer is read, in bytes.
const longestAnswer = 4 << 10

// Ask asks once, and follows no redirect. The sentence says that the server is healthy;
// an error says why it is not, or not known to be.
func Ask(ctx context.Context, t Target) (sentence string, err error) {
	transport := &http.Transport{} // without the proxy of the environment
	defer transport.CloseIdleConnections()
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return "", fmt.Errorf("unknown: read the CA of the server: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return "", fmt.Errorf("unknown: %s has no certificate", t.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		return "", fmt.Errorf("unknown: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("not healthy: no answer: %w", err) // it names the URL
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return "", fmt.Errorf("not healthy: read the answer of %s: %w", t.URL, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("not healthy: %s answered %s: %s", t.URL, response.Status, strings.Join(strings.Fields(string(body)), " "))
	}
	return fmt.Sprintf("healthy: %s answered %s", t.URL, response.Status), nil
}

// Local is the URL at which the server that listens on an address of this machine,
// such as :8081, answers on a path.
func Local(address, path string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return "", fmt.Errorf("%q is no address: write it like :8081 or 127.0.0.1:8081", address)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: path}).String(), nil
}
