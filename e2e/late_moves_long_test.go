//go:build long

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
)

// TestLateMoves: pods are moved a thousand times while kube-scheduler allocates devices,
// which fail and return within the time of a move. Every pod that is bound has the image,
// flag and cpu of the device that its claim has, no device has two, no pod is deleted, and
// in the end none waits while there is a device.
func TestLateMoves(t *testing.T) {
	const (
		nodes, each = 2, 16 // of either kind on each node
		enough      = 1000
		waiting     = nodes * each // so that all may be moved at once
	)
	// A pod's pause doubles with each move: from here it takes ten to come to a second.
	s := lateCluster(t, machine.Fleet(nodes, machine.Shape{Cores: 16}), "--readmission-backoff=1ms", "--readmission-margin=0s")
	asksNobody(t, s)
	names := publishAll(t, s, nodes, each)
	w := watchClaims(t, s)

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	ctx, enoughMoved := context.WithCancelCause(ctx)
	work, ctx := errgroup.WithContext(ctx)
	done := errors.New("there were enough moves")
	created := 0
	work.Go(func() error { return w.pulse(ctx, s, names) })
	work.Go(func() error {
		for {
			if n, _, _ := w.count(); n < waiting {
				// What was begun ends: a pod would be there that is not known here.
				if err := w.createAll(context.WithoutCancel(ctx), s, created, waiting-n, "100ms"); err != nil {
					return err
				}
				created += waiting - n
			}
			if err := poll.SleepUntil(ctx, time.Now().Add(100*time.Millisecond)); err != nil {
				return err
			}
		}
	})
	work.Go(func() error {
		return poll.Until(ctx, func(ctx context.Context) error {
			n, err := metric(ctx, s, claimMoves("done"))
			if err != nil {
				return err
			}
			if n < enough {
				return fmt.Errorf("%v of %d moves", n, enough)
			}
			enoughMoved(done)
			return nil
		})
	})
	if err := work.Wait(); !errors.Is(context.Cause(ctx), done) {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := breakDevices(t.Context(), s, name, 0); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func(context.Context) error {
		if n, running, ended := w.count(); ended < created {
			return fmt.Errorf("%d pods wait and %d run: %s", n, running, w.unended())
		}
		return nil
	})
	t.Logf("%d pods, all ended after %s", created, time.Since(began).Round(time.Second))
	sayRaces(t, s)
	moved := w.check(t)
	t.Logf("%d pods had been moved", moved)

	devices := 2 * nodes * each
	if err := w.createAll(t.Context(), s, created, devices+10, "24h"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(context.Context) error {
		if n, running, _ := w.count(); running != devices {
			return fmt.Errorf("%d pods wait and %d run, on %d devices: %s", n, running, devices, w.unended())
		}
		return nil
	})
	w.check(t)
}

// waitFor is how many pods wait for a device of a kind.
func (w *claimWatch) waitFor(of string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for uid := range w.created {
		if p := w.pods[uid]; p != nil && p.Spec.NodeName == "" && kind(p) == strings.ToUpper(of) {
			n++
		}
	}
	return n
}

// claimMoves is the metric of moves with an outcome.
func claimMoves(outcome string) string {
	return fmt.Sprintf("heteroaccel_webhook_readmissions_total{outcome=%q,owner=%q}", outcome, "claim")
}

// pulse has the devices of a kind return and fail again until ctx ends, each time of that
// for which fewer pods wait: the others are moved to it. What returns for less than a move
// takes is seldom allocated to them, what returns for longer is, and what returns while
// they are on their way to the other kind is allocated to claims that are being deleted.
func (w *claimWatch) pulse(ctx context.Context, s *stack.Stack, slices []string) error {
	r := rand.New(rand.NewPCG(3, 4))
	all := func(kind string, bits int) error {
		for _, name := range slices {
			if strings.HasSuffix(name, kind) {
				if err := breakDevices(ctx, s, name, bits); err != nil {
					return err
				}
			}
		}
		return nil
	}
	pause := func(most int) error {
		return poll.SleepUntil(ctx, time.Now().Add(time.Duration(r.IntN(most))*time.Millisecond))
	}
	err := errors.Join(all("gpu", -1), all("npu", -1))
	for err == nil {
		kind := "gpu"
		if w.waitFor("npu") < w.waitFor("gpu") {
			kind = "npu"
		}
		err = errors.Join(all(kind, 0), pause(150), all(kind, -1), pause(400))
	}
	return err
}

// sayRaces logs how the moves ended, and how often the two writers met within one: where
// the claim had changed between the webhook's look at it and its delete, or was another
// one as kube-scheduler wrote its device into it, the API server has refused one of them.
func sayRaces(t *testing.T, s *stack.Stack) {
	t.Helper()
	ends := map[string]float64{}
	for _, outcome := range []string{"done", "lost", "refused", "failed"} {
		ends[outcome], _ = metric(t.Context(), s, claimMoves(outcome)) // absent where there was none
	}
	t.Logf("moves: %v done, %v too late, %v refused, %v failed", ends["done"], ends["lost"], ends["refused"], ends["failed"])
	page, err := s.Client().CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	values, err := stack.ParseMetrics(string(page))
	if err != nil {
		t.Fatal(err)
	}
	raced := 0.0
	for name, n := range values {
		if !strings.HasPrefix(name, "apiserver_request_total{") || !strings.Contains(name, `resource="resourceclaims"`) {
			continue
		}
		deleted := strings.Contains(name, `verb="DELETE"`) && strings.Contains(name, `code="409"`)
		written := strings.Contains(name, `verb="PUT"`) && !strings.Contains(name, `code="2`)
		if deleted || written {
			raced += n
			t.Logf("%v of %s", n, name)
		}
	}
	t.Logf("%v of them were decided by the API server, as kube-scheduler and the webhook wrote at once", raced)
	if raced == 0 {
		t.Error("no move raced with an allocation: this tests too little")
	}
}
