//go:build faults

package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"heteroaccel.io/connector/camera/client"
	"heteroaccel.io/e2e/poll"
)

// camera is a client with a session, which it renews until it ends it.
type camera struct {
	*client.Client
	accelerator string

	mu    sync.Mutex
	last  client.Session
	ended error // that the session ended by itself
	stop  context.CancelFunc
	done  chan struct{}
}

// ttl is how long a session lives that nobody renews: far longer than a program takes
// to be back.
const ttl = "25s"

// camera asks for a session until it is told of one.
func (x *site) camera(ctx context.Context, connector, accelerator string) (*camera, error) {
	k, err := client.New(client.Config{URL: x.URL(connector, ""), HTTP: &http.Client{}})
	if err != nil {
		return nil, err
	}
	c := &camera{Client: k, accelerator: accelerator, done: make(chan struct{})}
	err = until(ctx, func(ctx context.Context) (err error) {
		c.last, err = k.Create(ctx, client.Request{Inference: inference, Accelerator: accelerator, TTL: ttl}, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	ctx, c.stop = context.WithCancel(ctx)
	go func() {
		defer close(c.done)
		for poll.SleepUntil(ctx, time.Now().Add(300*time.Millisecond)) == nil {
			s, err := k.Renew(ctx, c.last.ID)
			c.mu.Lock()
			if err == nil {
				c.last = s
			} else if errors.Is(err, client.ErrEnded) {
				c.ended = err
			}
			c.mu.Unlock()
		}
	}()
	return c, nil
}

func (c *camera) session() (client.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.ended
}

// film is the cameras of one round.
type film struct {
	*site
	cameras []*camera
	stop    func() // stops all renewals
}

// ask has the cameras of these numbers ask for sessions at once: of three two for a GPU,
// and one for anything.
func (f *film) ask(t *testing.T, ctx context.Context, from, to int) {
	t.Helper()
	connectors := slices.DeleteFunc([]string{"connector", "connector-2"}, func(name string) bool { return f.Process(name) == nil })
	cameras := make([]*camera, to-from)
	var wg sync.WaitGroup
	for i := from; i < to; i++ {
		wg.Go(func() {
			c, err := f.camera(ctx, connectors[i%len(connectors)], []string{"gpu", "gpu", "any"}[i%3])
			if err != nil {
				t.Errorf("no session: %v", err)
				return
			}
			cameras[i-from] = c
		})
	}
	wg.Wait()
	f.cameras = append(f.cameras, slices.DeleteFunc(cameras, func(c *camera) bool { return c == nil })...)
	if t.Failed() {
		t.FailNow()
	}
}

// end ends the sessions of the first n cameras.
func (f *film) end(t *testing.T, ctx context.Context, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for _, c := range f.cameras[:n] {
		wg.Go(func() {
			c.stop()
			<-c.done
			if err := until(ctx, func(ctx context.Context) error { return c.End(ctx, c.last.ID) }); err != nil {
				t.Errorf("session %s does not end: %v", c.last.ID, err)
			}
		})
	}
	wg.Wait()
	f.cameras = f.cameras[n:]
}

// cut stops all renewals, whatever became of the round.
func (f *film) cut() {
	f.stop()
	for _, c := range f.cameras {
		<-c.done
	}
}

// inOrder ends a session that is served by a GPU, and sees that the first of those that
// wait for one gets it, while the next one waits on.
func (f *film) inOrder(t *testing.T, ctx context.Context) {
	t.Helper()
	var waiting []*camera
	ending := -1
	eventually(t, func(context.Context) (err error) { waiting, ending, err = f.queue(); return err })
	if len(waiting) < 2 || ending < 0 {
		t.Fatalf("%d sessions wait for a GPU, want two or more, and one that is served: this proves nothing", len(waiting))
	}
	f.cameras[0], f.cameras[ending] = f.cameras[ending], f.cameras[0]
	f.end(t, ctx, 1)
	eventually(t, func(context.Context) error {
		first, err := waiting[0].session()
		next, _ := waiting[1].session()
		// If the next one is served that does not mend itself.
		if err == nil && first.State == "waiting" && next.State == "waiting" {
			err = fmt.Errorf("session %s waits, the first, though a GPU was freed: %s", first.ID, first.Reason)
		}
		return err
	})
	if s, err := waiting[1].session(); err != nil || s.State != "waiting" {
		t.Errorf("session %s is %s, want it to wait: one GPU was freed, and %s is ordered before it; %v", s.ID, s.State, waiting[0].last.ID, err)
	}
	eventually(t, func(context.Context) error { return f.served(f.cameras) })
}

// queue are the cameras that wait for a GPU, in the order of their queue, and the number
// of one that is served by a GPU that it asked for, -1 for none. The error is that what
// they were told does not agree: not all were told since the queue changed.
func (f *film) queue() (waiting []*camera, served int, err error) {
	served = -1
	position := map[*camera]int{}
	for i, c := range f.cameras {
		s, err := c.session()
		switch {
		case err != nil:
			return nil, -1, fmt.Errorf("session %s: %w", s.ID, err)
		case c.accelerator != "gpu":
		case s.State == "waiting":
			waiting, position[c] = append(waiting, c), s.Position
		case served < 0:
			served = i
		}
	}
	slices.SortFunc(waiting, func(a, b *camera) int { return cmp.Compare(position[a], position[b]) })
	for i, c := range waiting {
		if position[c] != i+1 {
			return nil, -1, fmt.Errorf("the sessions that wait are at %v of the queue", slices.Sorted(maps.Values(position)))
		}
	}
	return waiting, served, nil
}

// served says whether each session that a client was told of is served by a server of
// its own, or waits with every device of its kind in use.
func (x *site) served(cameras []*camera) error {
	by := map[string]string{}
	gpus := 0
	var waits []string
	for _, c := range cameras {
		s, err := c.session()
		if err != nil {
			return fmt.Errorf("session %s of a client that renews it: %w", s.ID, err)
		}
		if s.State != "serving" {
			waits = append(waits, s.ID+" for "+c.accelerator+": "+s.Reason)
			if c.accelerator == "any" {
				return fmt.Errorf("session %s is not served: %s", s.ID, s.Reason)
			}
			continue
		}
		if other := by[s.Pod]; other != "" {
			return fmt.Errorf("%s and %s share %s", s.ID, other, s.Pod)
		}
		by[s.Pod] = s.ID
		if s.Kind == "GPU" {
			gpus++
		}
	}
	if len(waits) > 0 && gpus < each {
		return fmt.Errorf("%d of %d GPUs serve, and sessions wait: %v", gpus, each, waits)
	}
	return nil
}
