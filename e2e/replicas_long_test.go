//go:build long

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// attempt is one creation of a pod, by a client that does not try again.
type attempt struct {
	began time.Time
	took  time.Duration
	err   error
}

// creations are attempts that go on until Stop.
type creations struct {
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu       sync.Mutex
	attempts []attempt
}

// createSteadily has some clients create a pod each every so often, which runs for a
// moment.
func createSteadily(t *testing.T, s *stack.Stack, name string, every time.Duration) *creations {
	const clients = 4
	ctx, cancel := context.WithCancel(t.Context())
	c := &creations{cancel: cancel}
	for i := range clients {
		c.work.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				p := anyPod(fmt.Sprintf("%s-%d-%d", name, i, n), "face-recognition", "any", withAnnotation(cluster.DurationAnnotation, "300ms"))
				began := time.Now()
				// One that has begun is waited for.
				_, err := s.Client().CoreV1().Pods(p.Namespace).Create(context.WithoutCancel(ctx), p, metav1.CreateOptions{})
				c.mu.Lock()
				c.attempts = append(c.attempts, attempt{began, time.Since(began), err})
				c.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { cancel(); c.work.Wait() })
	return c
}

func (c *creations) sofar() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.attempts)
}

// more waits until so many more pods were created.
func (c *creations) more(t *testing.T, n int) {
	t.Helper()
	want := c.sofar() + n
	eventually(t, func(context.Context) error {
		if got := c.sofar(); got < want {
			return fmt.Errorf("%d of %d creations", got, want)
		}
		return nil
	})
}

// stop returns what was refused, after it has reported all.
func (c *creations) stop(t *testing.T, what string) (refused []attempt) {
	t.Helper()
	c.cancel()
	c.work.Wait()
	causes := map[string]int{}
	slices.SortFunc(c.attempts, func(a, b attempt) int { return int(a.took - b.took) })
	for _, a := range c.attempts {
		if a.err != nil {
			causes[a.err.Error()]++
			refused = append(refused, a)
		}
	}
	all := c.attempts
	t.Logf("%s: %d pods, %d refused; the median took %s, 99 of 100 at most %s, the slowest %s", what, len(all), len(refused),
		all[len(all)/2].took.Round(time.Millisecond), all[len(all)*99/100].took.Round(time.Millisecond), all[len(all)-1].took.Round(time.Millisecond))
	for cause, n := range causes {
		t.Logf("%s: %d: %s", what, n, cause)
	}
	return refused
}

// TestReplicaKilled: the replica that decides is killed while pods are created. None is
// refused but those that were inside it, or were sent to it before its Service noticed.
func TestReplicaKilled(t *testing.T) {
	s := borrow(t, hundred)
	replicas := []string{"webhook", "webhook-2"}
	if err := s.StartReplica(replicas[1]); err != nil {
		t.Fatal(err)
	}
	eventuallyReady(t, s, replicas[1])
	for i, name := range []string{"the API server asked it", "the API server asked the other"} {
		t.Run(name, func(t *testing.T) {
			leader, other := replicas[i%2], replicas[(i+1)%2] // the other leads then
			asked := []string{leader, other}
			if i == 1 {
				slices.Reverse(asked)
			}
			service := fmt.Sprintf("service %d", i)
			v, err := s.StartService(t.Context(), service, asked[0])
			if err != nil {
				t.Fatal(err)
			}
			defer v.Stop()
			if err := s.Register(t.Context(), service); err != nil {
				t.Fatal(err)
			}
			decides(t, s, leader, other)
			c := createSteadily(t, s, fmt.Sprintf("killed-%d", i), 100*time.Millisecond)
			c.more(t, 40) // its connection is open
			if err := v.Add(t.Context(), asked[1]); err != nil {
				t.Fatal(err)
			}
			s.Process(leader).Kill()
			killed := time.Now()
			eventuallyDecides(t, s, other)
			t.Logf("the other decided %s later", time.Since(killed).Round(time.Millisecond))
			c.more(t, 40)
			for _, a := range c.stop(t, name) {
				// Two probes, and what a connection that is refused takes.
				late := a.began.After(killed.Add(3 * time.Second))
				broken := slices.ContainsFunc([]string{"EOF", "connection reset", "connection refused", "connection lost", "broken pipe"}, func(why string) bool {
					return strings.Contains(a.err.Error(), why)
				})
				if i == 1 || late || !broken {
					t.Errorf("refused %s after the leader was killed: %v", a.began.Sub(killed), a.err)
				}
			}
			if err := s.StartReplica(leader); err != nil {
				t.Fatal(err)
			}
			eventuallyReady(t, s, leader)
		})
	}
	back(t, s, "webhook", "webhook-2")
}

// TestRollingUpdate: each replica is replaced by another, as a Deployment does, while
// pods are created. None is refused.
func TestRollingUpdate(t *testing.T) {
	s := borrow(t, calm)
	const service = "service of the rollout"
	if err := s.StartReplica("webhook-2"); err != nil {
		t.Fatal(err)
	}
	v, err := s.StartService(t.Context(), service, "webhook", "webhook-2")
	if err != nil {
		t.Fatal(err)
	}
	defer v.Stop()
	if err := s.Register(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	// So few, of programs without the race detector, that what a pod takes is the
	// rollout's doing and not the machine's.
	c := createSteadily(t, s, "rollout", time.Second)
	c.more(t, 40)
	for _, pair := range [][2]string{{"webhook", "webhook-3"}, {"webhook-2", "webhook-4"}} {
		old, replacement := pair[0], pair[1]
		if err := s.StartReplica(replacement); err != nil {
			t.Fatal(err)
		}
		if err := v.Add(t.Context(), replacement); err != nil {
			t.Fatal(err)
		}
		v.Remove(old)
		c.more(t, 40) // before it is asked to end: see preStop in its manifest
		s.Process(old).StopWithin(40 * time.Second)
	}
	c.more(t, 40)
	for _, a := range c.stop(t, "rollout") {
		t.Errorf("refused: %v", a.err)
	}
	back(t, s, "webhook", "webhook-2", "webhook-3", "webhook-4")
}

// back leaves the installation with one replica of the webhook, as it was.
func back(t *testing.T, s *stack.Stack, first string, others ...string) {
	t.Helper()
	if p := s.Process(first); p.Ended() {
		if err := s.StartReplica(first); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Register(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for _, o := range others {
		s.Process(o).StopWithin(40 * time.Second)
	}
	eventuallyDecides(t, s, first)
}

func eventuallyReady(t *testing.T, s *stack.Stack, replica string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		_, err := stack.Get(ctx, s.URL(replica+" status", "/readyz"))
		return err
	})
}

func eventuallyDecides(t *testing.T, s *stack.Stack, replica string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		values, err := stack.Metrics(ctx, s.URL(replica+" status", "/metrics"))
		if err == nil && values["heteroaccel_webhook_deciding"] != 1 {
			err = fmt.Errorf("%s does not decide", replica)
		}
		return err
	})
}
