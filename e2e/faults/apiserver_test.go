//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/faults/apiproxy"
	"heteroaccel.io/e2e/poll"
)

// behind are the programs that have a proxy before the API server in these tests.
var behind = []string{"webhook", "extender", "connector"}

// under has something break under each sort of load: it is called when everything
// waits, and the load goes on when it returns.
func (x *site) under(t *testing.T, name string, breaks func(context.Context) (string, error), loads ...func(*testing.T, wave)) {
	t.Run(name, func(t *testing.T) {
		before := x.pods
		var said []string // of each load
		for _, load := range loads {
			broken := make(chan error, 1)
			load(t, wave{
				during: func() {
					go func() {
						what, err := breaks(t.Context())
						said = append(said, what)
						broken <- err
					}()
				},
				mended: func() {
					if err := <-broken; err != nil {
						t.Fatal(err)
					}
				},
			})
		}
		count(t, "%s: %s, %d pods and sessions", name, strings.Join(said, "; "), x.pods-before)
	})
}

// pause is a sleep that a test's end cuts short.
func pause(ctx context.Context, d time.Duration) error {
	return poll.SleepUntil(ctx, time.Now().Add(d))
}

func TestAPIServerAway(t *testing.T) {
	x := start(t, behind...)
	const away = time.Minute
	x.under(t, "API server paused", func(ctx context.Context) (string, error) {
		p := x.Process("kube-apiserver")
		err := errors.Join(p.Signal(syscall.SIGSTOP), pause(ctx, away), p.Signal(syscall.SIGCONT))
		return "for " + away.String(), err
	}, x.wave)
	x.under(t, "API server killed", func(ctx context.Context) (string, error) {
		err := x.RestartAPIServer(ctx, func(ctx context.Context) error { return pause(ctx, away) })
		return "away for " + away.String(), err
	}, x.wave, x.sessions)
	x.released(t, "webhook")
}

// TestCompaction: what programs have watched so far is forgotten while they do not
// reach the API server, which starts again with an empty cache; their watches get 410
// Gone.
func TestCompaction(t *testing.T) {
	x := start(t, behind...)
	// After a 500 client-go goes on watching from where it was, and after most other
	// errors it lists anew.
	var refused atomic.Int64
	away := apiproxy.Refuse(http.StatusInternalServerError, func(apiproxy.Call) bool { return true }, &refused)
	x.under(t, "etcd compacted", func(ctx context.Context) (string, error) {
		const times = 2
		for range times {
			for _, p := range x.proxies {
				p.Set(away)
				p.Cut()
			}
			if err := x.change(ctx); err != nil {
				return "", err
			}
			if _, err := x.Compact(ctx); err != nil {
				return "", err
			}
			if err := x.RestartAPIServer(ctx, func(context.Context) error { return nil }); err != nil {
				return "", err
			}
			for _, p := range x.proxies {
				p.Set(nil)
			}
			if err := pause(ctx, 3*time.Second); err != nil {
				return "", err
			}
		}
		said := fmt.Sprintf("%d times", times)
		// The others lose their Leases meanwhile, and list everything as their next terms
		// begin: which of the two comes first is by chance.
		if err := until(ctx, func(context.Context) error {
			if x.proxies["extender"].Gone() == 0 {
				return errors.New("the extender was never told 410 Gone")
			}
			return nil
		}); err != nil {
			return said, err
		}
		for _, name := range behind {
			said += fmt.Sprintf(", %d watches of the %s got 410", x.proxies[name].Gone(), name)
		}
		return said, nil
	}, x.wave, x.sessions)
	x.released(t, "webhook")
}

// change writes pods and nodes, so that there are revisions to be forgotten.
func (x *site) change(ctx context.Context) error {
	for i := range 20 {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "changes-", Namespace: "kube-public"},
			Spec:       corev1.PodSpec{NodeName: "nowhere", Containers: []corev1.Container{{Name: "c", Image: fmt.Sprintf("i:%d", i)}}},
		}
		made, err := x.client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err == nil {
			err = x.client.CoreV1().Pods(pod.Namespace).Delete(ctx, made.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestConnectionsBreak(t *testing.T) {
	x := start(t, behind...)
	x.under(t, "connections cut", func(ctx context.Context) (string, error) {
		cut := 0
		for range 40 {
			for _, p := range x.proxies {
				cut += p.Cut()
			}
			if err := pause(ctx, 400*time.Millisecond); err != nil {
				return "", err
			}
		}
		if cut < 40 {
			return "", fmt.Errorf("only %d connections were cut: it proves nothing", cut)
		}
		return fmt.Sprintf("%d of them", cut), nil
	}, x.wave, x.sessions)
	x.under(t, "connections half open", func(ctx context.Context) (string, error) {
		stalled := 0
		for _, p := range x.proxies {
			stalled += p.Stall()
		}
		if stalled < len(behind) {
			return "", fmt.Errorf("only %d connections were left half open", stalled)
		}
		return fmt.Sprintf("%d of them", stalled), nil
	}, x.wave, x.sessions)
	x.released(t, "webhook")
}

func TestAnswersBreak(t *testing.T) {
	x := start(t, behind...)
	set := func(f apiproxy.Fault) {
		for _, p := range x.proxies {
			p.Set(f)
		}
	}
	const lasts = 20 * time.Second
	x.under(t, "API server slow", func(ctx context.Context) (string, error) {
		before := x.calls()
		set(apiproxy.Late(400 * time.Millisecond))
		defer set(nil)
		err := pause(ctx, lasts)
		return fmt.Sprintf("%d calls 400 ms late", x.calls()-before), err
	}, x.wave, x.sessions)
	x.under(t, "API server's errors", func(ctx context.Context) (string, error) {
		r := &apiproxy.Refusals{Part: 0.25, Random: rand.New(rand.NewPCG(1, 2))}
		before := x.calls()
		set(r.Fault)
		defer set(nil)
		err := pause(ctx, lasts)
		return fmt.Sprintf("of %d calls, by status: %v", x.calls()-before, r.Made()), err
	}, x.wave, x.sessions)
	x.released(t, "webhook")
}

// calls are how many passed all proxies.
func (x *site) calls() (n int) {
	for _, p := range x.proxies {
		for _, calls := range p.Calls() {
			n += calls
		}
	}
	return n
}
