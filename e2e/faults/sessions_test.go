//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/connector/camera/client"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/soak/judge"
	"heteroaccel.io/e2e/stack"
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

// sessions is one round of load for the connector. Cameras ask for more GPUs than
// there are, and for anything; the server of one is deleted, so that its session
// moves; all end.
func (x *site) sessions(t *testing.T, w wave) {
	t.Helper()
	x.waves++
	began := time.Now()
	defer func() { t.Logf("wave %d took %s", x.waves, time.Since(began).Round(100*time.Millisecond)) }()
	replicas := slices.DeleteFunc([]string{"connector", "connector-2"}, func(name string) bool { return x.Process(name) == nil })
	var mu sync.Mutex
	var cameras []*camera
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer func() {
		cancel()
		for _, c := range cameras {
			<-c.done
		}
	}()
	for i := range each + 3 {
		wg.Go(func() {
			c, err := x.camera(ctx, replicas[i%len(replicas)], []string{"gpu", "gpu", "any"}[i%3])
			if err != nil {
				t.Errorf("no session: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			cameras = append(cameras, c)
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	served := func(context.Context) error { return x.served(cameras) }
	if w.during == nil { // what breaks has broken from the start
		x.try(t, w, served)
	} else {
		eventually(t, served)
		w.during()
	}
	first, _ := cameras[0].session()
	if first.Pod != "" {
		eventually(t, func(ctx context.Context) error {
			err := x.client.CoreV1().Pods(stack.SessionNamespace).Delete(ctx, first.Pod, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
	}
	x.try(t, w, func(ctx context.Context) error {
		if s, _ := cameras[0].session(); first.Pod != "" && s.Pod == first.Pod {
			return errors.New("its server was deleted, and it has not moved")
		}
		return served(ctx)
	})
	if w.mended != nil {
		w.mended()
	}
	eventually(t, served)
	x.agree(t)
	for _, c := range cameras {
		wg.Go(func() {
			c.stop()
			<-c.done
			if err := until(ctx, func(ctx context.Context) error { return c.End(ctx, c.last.ID) }); err != nil {
				t.Errorf("session %s does not end: %v", c.last.ID, err)
			}
		})
	}
	wg.Wait()
	eventually(t, x.nothingServed)
	if err := x.watch.givenTwice(); err != nil {
		t.Error(err)
	}
	x.pods += len(cameras)
	if t.Failed() {
		t.FailNow()
	}
}

// try polls for a while: what breaks may keep it from coming true until it is mended.
func (x *site) try(t *testing.T, w wave, check func(context.Context) error) {
	t.Helper()
	if w.mended == nil {
		eventually(t, check)
		return
	}
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_ = poll.Until(soon, check)
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

// agree checks the servers' pods.
func (x *site) agree(t *testing.T) {
	t.Helper()
	list, err := x.client.CoreV1().Pods(stack.SessionNamespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if err := judge.Disagrees(&list.Items[i], "inference", x.variants); err != nil {
			t.Error(err)
		}
	}
}

// nothingServed says what the connector has left.
func (x *site) nothingServed(ctx context.Context) error {
	pods, err := x.client.CoreV1().Pods(stack.SessionNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	leases, err := x.client.CoordinationV1().Leases(stack.SessionNamespace).List(ctx, metav1.ListOptions{LabelSelector: "heteroaccel.io/session=session"})
	if err != nil {
		return err
	}
	services, err := x.client.CoreV1().Services(stack.SessionNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(pods.Items)+len(leases.Items)+len(services.Items) > 0 {
		return fmt.Errorf("%d servers, %d sessions and %d services are left", len(pods.Items), len(leases.Items), len(services.Items))
	}
	return nil
}

func TestConnectorKilled(t *testing.T) {
	x := start(t, "connector")
	v := x.victim(t, "connector", x.URL("connector status", "/readyz"), func(ctx context.Context) error {
		return x.StartConnector(ctx, "connector", connectorFlags...)
	})
	x.proxies["connector"].Set(v.dies)
	x.killedEverywhere(t, v, x.sessions)
	count(t, "connector: killed %d times at calls, at %d of %d points, %d restarts, %d sessions", v.points.Kills(), v.points.Points(), 2*v.points.Sorts(), v.restarts.Load(), x.pods)
}
