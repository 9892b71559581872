package decisions

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/certificate"
	"heteroaccel.io/pkg/journal"
)

func secret(s string) *certificate.Shared {
	return certificate.SharedBy(func() [][]byte { return [][]byte{bytes.Repeat([]byte(s), ed25519.SeedSize)} })
}

// webhook serves a journal as the webhook does. It may be another process's from one
// moment to the next.
type webhook struct {
	mu sync.Mutex
	*journal.Journal
	*httptest.Server
}

func newWebhook(t *testing.T) *webhook {
	t.Helper()
	w := &webhook{Journal: journal.New(100)}
	w.Server = httptest.NewUnstartedServer(secret("a").Require(http.HandlerFunc(w.serve)))
	w.TLS = secret("a").Server(&tls.Config{})
	w.StartTLS()
	t.Cleanup(w.Close)
	return w
}

func (w *webhook) serve(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	j := w.Journal
	w.mu.Unlock()
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	if err != nil || r.URL.Query().Get("journal") != j.ID() {
		after = 0
	}
	entries, lost, more := j.Since(after)
	if len(entries) == 0 {
		select {
		case <-more:
		case <-time.After(20 * time.Millisecond):
		}
		entries, lost, _ = j.Since(after)
	}
	list := []string{}
	for _, e := range entries {
		list = append(list, fmt.Sprintf(`{"seq":%d,"pod":%q}`, e.Seq, e.Pod))
	}
	fmt.Fprintf(out, `{"journal":%q,"lost":%d,"entries":[%s]}`, j.ID(), lost, strings.Join(list, ","))
}

func (w *webhook) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Journal = journal.New(100)
}

func (w *webhook) address() string { return w.Listener.Addr().String() }

// followed is a follower of some webhooks, until the test ends.
func followed(t *testing.T, shared *certificate.Shared, addresses func() []string) *Follower {
	t.Helper()
	f := New(Config{Addresses: addresses, TLS: shared.Client(), Log: zerolog.Nop()})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return f
}

// pods waits until so many entries were read, and returns of which pods.
func (f *Follower) pods(t *testing.T, n int) (pods []string) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		entries, _, more := f.Journal().Since(0)
		if len(entries) >= n {
			for _, e := range entries {
				pods = append(pods, e.Pod)
			}
			slices.Sort(pods)
			return pods
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("%d entries were read, want %d: %v", len(entries), n, f.Failures())
		}
	}
}

// TestFollow: what two replicas decide is read once, also what a replica decides after it
// was restarted, and what it decided before anybody asked.
func TestFollow(t *testing.T) {
	a, b := newWebhook(t), newWebhook(t)
	a.Add(journal.Entry{Pod: "a1"})
	f := followed(t, secret("a"), func() []string { return []string{a.address(), b.address()} })
	f.pods(t, 1)
	a.Add(journal.Entry{Pod: "a2"})
	b.Add(journal.Entry{Pod: "b1"})
	f.pods(t, 3)
	a.restart()
	a.Add(journal.Entry{Pod: "a3"})
	if got := fmt.Sprint(f.pods(t, 4)); got != "[a1 a2 a3 b1]" {
		t.Errorf("read of %s", got)
	}
	if failures := f.Failures(); len(failures) > 0 {
		t.Errorf("%v", failures)
	}
}

// TestFailures: a replica that cannot be read is named, with the cause, and no longer
// once it is gone.
func TestFailures(t *testing.T) {
	w := newWebhook(t)
	var mu sync.Mutex
	at := []string{w.address()}
	f := followed(t, secret("b"), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return at
	})
	said := func(want string) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		limit := time.After(30 * time.Second)
		for {
			got := strings.Join(f.Failures(), "\n")
			if strings.Contains(got, want) {
				return
			}
			select {
			case <-tick.C:
			case <-limit:
				t.Fatalf("%q is not in %q", want, got)
			}
		}
	}
	said("what the webhook at " + w.address() + " decides is not shown: ")
	said("does not have the key of the webhook's Secret")
	mu.Lock()
	at = nil
	mu.Unlock()
	said("no replica of it is known")
}

// TestBreath: a replica that answers at once that there is nothing, as one does that is
// ending, is not asked as fast as it answers.
func TestBreath(t *testing.T) {
	asked := make(chan time.Time, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- time.Now():
		default:
		}
		fmt.Fprint(out, `{"journal":"x","entries":[]}`)
	}))
	server.TLS = secret("a").Server(&tls.Config{})
	server.StartTLS()
	t.Cleanup(server.Close)
	followed(t, secret("a"), func() []string { return []string{server.Listener.Addr().String()} })
	first := <-asked
	for range 4 {
		now := <-asked
		if now.Sub(first) < breath*9/10 {
			t.Fatalf("asked again after %s", now.Sub(first))
		}
		first = now
	}
}
