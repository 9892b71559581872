//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// fault is something that breaks.
type fault struct {
	name string
	// breaks breaks it until it returns, and says what happened.
	breaks func(context.Context) (string, error)
	// later is set where it breaks once all of a load is there: it must not be the
	// load's creation that breaks.
	later bool
}

// under has something break under each sort of load: from when a part of it waits, and
// the rest is created, until the fault has returned.
func (x *site) under(t *testing.T, f fault, loads ...func(*testing.T, wave)) {
	t.Run(f.name, func(t *testing.T) {
		before := x.pods
		var said []string // of each load
		for _, load := range loads {
			broken := make(chan error, 1)
			load(t, wave{
				later: f.later,
				during: func() {
					go func() {
						what, err := f.breaks(t.Context())
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
		x.released(t)
		count(t, "%s: %s, %d pods and sessions", f.name, strings.Join(said, "; "), x.pods-before)
	})
}

// pause is a sleep that a test's end cuts short.
func pause(ctx context.Context, d time.Duration) error {
	return poll.SleepUntil(ctx, time.Now().Add(d))
}

func TestAPIServerAway(t *testing.T) {
	x := start(t, behind...)
	const away = time.Minute
	// The Job controller creates a second pod where the API server dies of the first.
	x.under(t, fault{later: true, name: "API server paused", breaks: func(ctx context.Context) (string, error) {
		p := x.Process("kube-apiserver")
		err := errors.Join(p.Signal(syscall.SIGSTOP), pause(ctx, away), p.Signal(syscall.SIGCONT))
		return "for " + away.String(), err
	}}, x.wave)
	x.under(t, fault{later: true, name: "API server killed", breaks: func(ctx context.Context) (string, error) {
		err := x.RestartAPIServer(ctx, func(ctx context.Context) error { return pause(ctx, away) })
		return "away for " + away.String(), err
	}}, x.wave, x.sessions)
}

// TestCompaction: what programs have watched so far is forgotten while they do not
// reach the API server, which starts again with an empty cache; their watches get 410
// Gone.
func TestCompaction(t *testing.T) {
	x := start(t, behind...)
	x.under(t, fault{later: true, name: "etcd compacted", breaks: func(ctx context.Context) (string, error) {
		const times = 2
		for range times {
			// A watch that was cut goes on from where it was, and after an error client-go
			// lists anew: so its calls wait.
			back := make(chan struct{})
			for _, p := range x.proxies {
				p.Set(apiproxy.Hold(back))
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
			close(back)
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
	}}, x.wave, x.sessions)
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
