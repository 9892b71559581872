//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
)

// sessions is one round of load for the connector. Cameras ask for more GPUs than
// there are, and for anything; the server of one is deleted, so that its session
// moves; one that is served ends, and the first that waits gets its device; all end.
func (x *site) sessions(t *testing.T, w wave) {
	t.Helper()
	x.waves++
	began := time.Now()
	defer func() { t.Logf("wave %d took %s", x.waves, time.Since(began).Round(100*time.Millisecond)) }()
	f := &film{site: x}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(t.Context())
	defer f.cut()
	const all, first = each + 4, each + 1
	f.ask(t, ctx, 0, first)
	served := func(context.Context) error { return x.served(f.cameras) }
	if w.during == nil { // what breaks has broken from the start
		f.ask(t, ctx, first, all)
		x.try(t, w, served)
	} else {
		eventually(t, func(ctx context.Context) error { return errors.Join(served(ctx), x.sessionsAre(ctx, f.cameras)) })
		if !w.later {
			w.during()
		}
		f.ask(t, ctx, first, all)
		if w.later {
			eventually(t, func(ctx context.Context) error { return errors.Join(served(ctx), x.sessionsAre(ctx, f.cameras)) })
			w.during()
		}
	}
	moves, _ := f.cameras[0].session()
	if moves.Pod != "" {
		eventually(t, func(ctx context.Context) error {
			err := x.client.CoreV1().Pods(stack.SessionNamespace).Delete(ctx, moves.Pod, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
	}
	x.try(t, w, func(ctx context.Context) error {
		if s, _ := f.cameras[0].session(); moves.Pod != "" && s.Pod == moves.Pod {
			return errors.New("its server was deleted, and it has not moved")
		}
		return served(ctx)
	})
	if w.mended != nil {
		w.mended()
	}
	// One that nobody was told of, as its answer was lost, is not renewed and expires.
	eventually(t, func(ctx context.Context) error { return errors.Join(served(ctx), x.sessionsAre(ctx, f.cameras)) })
	x.agree(t)
	x.pods += len(f.cameras)
	f.inOrder(t, ctx)
	f.end(t, ctx, len(f.cameras))
	eventually(t, x.nothingServed)
	if err := x.watch.givenTwice(); err != nil {
		t.Error(err)
	}
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

// agree checks the servers' pods.
func (x *site) agree(t *testing.T) {
	t.Helper()
	list, err := x.client.CoreV1().Pods(stack.SessionNamespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	disagrees, err := x.disagrees(t.Context(), stack.SessionNamespace)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if err := disagrees(&list.Items[i]); err != nil {
			t.Error(err)
		}
	}
}

// sessionsAre says whether the API server has the sessions that clients were told of, and
// no other.
func (x *site) sessionsAre(ctx context.Context, cameras []*camera) error {
	leases, err := x.client.CoordinationV1().Leases(stack.SessionNamespace).List(ctx, metav1.ListOptions{LabelSelector: sessionLeases})
	if err != nil {
		return err
	}
	var have, want []string
	for i := range leases.Items {
		have = append(have, leases.Items[i].Name)
	}
	for _, c := range cameras {
		s, _ := c.session()
		want = append(want, session.LeaseName(s.ID))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		return fmt.Errorf("the API server has %d sessions, want the %d of the cameras: %v, want %v", len(have), len(want), have, want)
	}
	return nil
}

// sessionLeases selects the Leases that are sessions.
const sessionLeases = "heteroaccel.io/session=session"

// nothingServed says what the connector has left.
func (x *site) nothingServed(ctx context.Context) error {
	pods, err := x.client.CoreV1().Pods(stack.SessionNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	leases, err := x.client.CoordinationV1().Leases(stack.SessionNamespace).List(ctx, metav1.ListOptions{LabelSelector: sessionLeases})
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
	x.released(t)
	count(t, "connector: killed %d times at calls, at %d of %d points, %d restarts, %d sessions", v.points.Kills(), v.points.Points(), 2*v.points.Sorts(), v.restarts.Load(), x.pods)
}
