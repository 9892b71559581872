package identity

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/pkg/reviews"
)

// ErrUnknown is that a request has no proof of who sent it, or a wrong one.
var ErrUnknown = errors.New("nobody known: send a header Authorization: Bearer TOKEN with a token that is valid here")

// Source tells who sent a request; ok is false where it does not know.
type Source func(r *http.Request) (client string, ok bool, err error)

// First asks sources one after another.
func First(sources ...Source) func(*http.Request) (string, error) {
	return func(r *http.Request) (string, error) {
		for _, s := range sources {
			client, ok, err := s(r)
			if err != nil {
				return "", err
			}
			if ok {
				return client, nil
			}
		}
		return "", ErrUnknown
	}
}

// Anybody takes everybody for one client of a name.
func Anybody(name string) Source {
	return func(*http.Request) (string, bool, error) { return name, true, nil }
}

// Certificate takes the common name of a verified client certificate.
func Certificate(r *http.Request) (string, bool, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return "", false, nil
	}
	name := r.TLS.VerifiedChains[0][0].Subject.CommonName
	return name, name != "", nil
}

// File is a file of tokens, with TOKEN,CLIENT in each line, as in the API
// server's token files; empty lines and those that start with # count for
// nothing. It is read again when it changes.
type File struct {
	path string

	mu      sync.Mutex
	read    time.Time
	changed time.Time
	clients map[[sha256.Size]byte]string
	now     func() time.Time
}

// recheck is how often the file is looked at.
const recheck = 5 * time.Second

// NewFile reads a file of tokens.
func NewFile(path string) (*File, error) {
	f := &File{path: path, now: time.Now}
	if err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

// Source knows the clients of the file.
func (f *File) Source(r *http.Request) (string, bool, error) {
	token, ok := reviews.Bearer(r)
	if !ok {
		return "", false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now().Sub(f.read) > recheck {
		// A file that cannot be read for a moment keeps its clients.
		_ = f.reload()
	}
	// Digests are compared, so that the time it takes tells nothing of a token.
	client, known := f.clients[sha256.Sum256([]byte(token))]
	return client, known, nil
}

func (f *File) load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reload()
}

func (f *File) reload() error {
	f.read = f.now()
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	if info.ModTime().Equal(f.changed) {
		return nil
	}
	content, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	clients := map[[sha256.Size]byte]string{}
	for i, line := range strings.Split(string(content), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		token, client, _ := strings.Cut(line, ",")
		client, _, _ = strings.Cut(client, ",")
		token, client = strings.TrimSpace(token), strings.TrimSpace(client)
		if token == "" || client == "" {
			return fmt.Errorf("token file %s, line %d: write TOKEN,CLIENT", f.path, i+1)
		}
		clients[sha256.Sum256([]byte(token))] = client
	}
	f.clients, f.changed = clients, info.ModTime()
	return nil
}

// Review asks the API server about tokens.
func Review(client kubernetes.Interface) Source {
	tokens := reviews.NewTokens(client)
	return func(r *http.Request) (string, bool, error) {
		token, ok := reviews.Bearer(r)
		if !ok {
			return "", false, nil
		}
		user, err := tokens.User(r.Context(), token)
		if err != nil || user == nil {
			return "", false, err
		}
		return user.Username, user.Username != "", nil
	}
}
