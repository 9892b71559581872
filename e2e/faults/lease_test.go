//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/faults/apiproxy"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
)

// lease is the one of a program's replicas.
type lease struct {
	*site
	name     string
	replicas []string
}

// leaseFault breaks leadership, and returns when it is mended as far as it is not the
// program's to do; it returns what happened.
type leaseFault func(ctx context.Context, l lease) (said string, err error)

var leaseFaults = map[string]leaseFault{
	"deleted":                      deleted,
	"taken":                        taken(0),
	"taken, its clock hours ahead": taken(5 * time.Hour),
	"taken, its clock hours late":  taken(-5 * time.Hour),
	"renewals refused":             refused,
	"two leaders":                  paused,
}

func TestWebhookLease(t *testing.T) {
	x := start(t, "webhook", "webhook-2")
	l := lease{x, "heteroaccel-webhook", []string{"webhook", "webhook-2"}}
	x.service(t, l.replicas)
	for name, f := range leaseFaults {
		x.under(t, fault{name: "lease of the webhook " + name, breaks: l.broken(f)}, x.wave)
	}
}

func TestConnectorLease(t *testing.T) {
	x := start(t, "connector", "connector-2")
	l := lease{x, "heteroaccel-connector", []string{"connector", "connector-2"}}
	for name, f := range leaseFaults {
		x.under(t, fault{name: "lease of the connector " + name, breaks: l.broken(f)}, x.sessions)
	}
}

// broken has a fault happen, until a replica leads.
func (l lease) broken(f leaseFault) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		said, err := f(ctx, l)
		if err == nil {
			_, err = l.led(ctx, anybody)
		}
		return said, err
	}
}

func (l lease) get(ctx context.Context) (*coordinationv1.Lease, error) {
	return l.client.CoordinationV1().Leases(stack.Namespace).Get(ctx, l.name, metav1.GetOptions{})
}

// leader is the replica that holds the lease and has renewed it in time.
func (l lease) leader(ctx context.Context) (string, error) {
	found, err := l.get(ctx)
	if err != nil {
		return "", err
	}
	for _, r := range l.replicas {
		if h := found.Spec.HolderIdentity; h != nil && *h == r && time.Since(found.Spec.RenewTime.Time) < 4*time.Second {
			return r, nil
		}
	}
	return "", errors.New("no replica holds the lease")
}

// led waits until a replica leads that ok takes.
func (l lease) led(ctx context.Context, ok func(string) bool) (who string, err error) {
	err = until(ctx, func(ctx context.Context) error {
		if who, err = l.leader(ctx); err == nil && !ok(who) {
			err = fmt.Errorf("%s leads", who)
		}
		return err
	})
	return who, err
}

func anybody(string) bool { return true }

// deleted deletes the lease, as soon as somebody has it again.
func deleted(ctx context.Context, l lease) (string, error) {
	const times = 5
	for range times {
		if _, err := l.led(ctx, anybody); err != nil {
			return "", err
		}
		if err := l.client.CoordinationV1().Leases(stack.Namespace).Delete(ctx, l.name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return "", err
		}
	}
	return fmt.Sprintf("%d times", times), nil
}

// taken has somebody else hold the lease, whose clock may be wrong and who is never
// heard of again.
func taken(skew time.Duration) leaseFault {
	return func(ctx context.Context, l lease) (string, error) {
		const times = 2
		for range times {
			if _, err := l.led(ctx, anybody); err != nil {
				return "", err
			}
			err := until(ctx, func(ctx context.Context) error {
				found, err := l.get(ctx)
				if err != nil {
					return err
				}
				now := metav1.NewMicroTime(time.Now().Add(skew))
				found.Spec.HolderIdentity, found.Spec.LeaseDurationSeconds = new("stranger"), new(int32(6))
				found.Spec.AcquireTime, found.Spec.RenewTime = &now, &now
				_, err = l.client.CoordinationV1().Leases(stack.Namespace).Update(ctx, found, metav1.UpdateOptions{})
				return err
			})
			if err != nil {
				return "", err
			}
		}
		return fmt.Sprintf("%d times", times), nil
	}
}

// refused has the API server refuse the leader's renewals, until the other leads.
func refused(ctx context.Context, l lease) (string, error) {
	var said []string
	for _, code := range []int{http.StatusInternalServerError, http.StatusForbidden} {
		who, err := l.led(ctx, anybody)
		if err != nil {
			return "", err
		}
		var n atomic.Int64
		p := l.proxies[who]
		p.Set(apiproxy.Refuse(code, func(c apiproxy.Call) bool { return c.Resource == "leases" && c.Name == l.name }, &n))
		_, err = l.led(ctx, func(now string) bool { return now != who })
		p.Set(nil)
		if err != nil {
			return "", err
		}
		if n.Load() == 0 {
			return "", fmt.Errorf("no renewal of %s was answered %d", who, code)
		}
		said = append(said, fmt.Sprintf("%d of %s answered %d", n.Load(), who, code))
	}
	return strings.Join(said, ", "), nil
}

// paused stops the leader until the other has led for as long as a lease lasts, and
// has it go on: for a moment both take themselves for the leader.
func paused(ctx context.Context, l lease) (string, error) {
	const times = 2
	for range times {
		who, err := l.led(ctx, anybody)
		if err != nil {
			return "", err
		}
		p := l.Process(who)
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			return "", err
		}
		_, err = l.led(ctx, func(now string) bool { return now != who })
		if err == nil {
			err = pause(ctx, leaseLasts)
		}
		if err := errors.Join(err, p.Signal(syscall.SIGCONT)); err != nil {
			return "", err
		}
		if err := pause(ctx, 2*time.Second); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d times", times), nil
}

// leaseLasts is how long, by default.
const leaseLasts = 6 * time.Second

// service has the API server ask whichever replica of the webhook is ready, as the
// Service does.
func (x *site) service(t *testing.T, replicas []string) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	ready := func(replica string) bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := stack.Get(ctx, x.URL(replica+" status", "/readyz"))
		return err == nil
	}
	go func() {
		defer close(done)
		at := replicas[0]
		for poll.SleepUntil(ctx, time.Now().Add(200*time.Millisecond)) == nil {
			for _, replica := range replicas {
				if replica == at || ready(at) || !ready(replica) {
					continue
				}
				// It returns once reviews arrive, and is tried again if it does not.
				if soon, cancel := context.WithTimeout(ctx, 10*time.Second); x.Register(soon, replica) == nil {
					at = replica
					cancel()
				} else {
					cancel()
				}
			}
		}
	}()
}
