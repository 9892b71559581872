package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// leaderThroughBurst: each pod that has to wait is an Event as well, which the API
// server takes at a limited rate; that must not hold up the Lease, or the
// webhook would stop deciding in the middle.
func leaderThroughBurst(t *testing.T, s *stack.Stack) {
	// As many of the pods as there are GPUs need not wait.
	const pods, most = 500, 8
	watched, stop := context.WithCancel(t.Context())
	defer stop()
	ready := make(chan error, 1)
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			values, err := stack.Metrics(watched, s.URL("webhook status", "/metrics"))
			if err == nil && values["heteroaccel_webhook_deciding"] != 1 {
				err = errors.New("it does not decide")
			}
			if err != nil && watched.Err() == nil {
				ready <- err
				return
			}
			select {
			case <-watched.Done():
				ready <- nil
				return
			case <-tick.C:
			}
		}
	}()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(32)
	for i := range pods {
		group.Go(func() error {
			p := anyPod(fmt.Sprintf("crowd-%03d", i), "face-recognition", "gpu")
			_, err := s.Client().CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	// Every Event arrives, at the rate that is allowed, and all the while the
	// webhook leads.
	eventually(t, func(ctx context.Context) error {
		events, err := s.Client().EventsV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{FieldSelector: "reason=AcceleratorSelected"})
		if err != nil {
			return err
		}
		got := map[string]bool{}
		for _, e := range events.Items {
			if strings.HasPrefix(e.Regarding.Name, "crowd-") {
				got[e.Regarding.Name] = true
			}
		}
		if len(got) < pods-most {
			return fmt.Errorf("%d of %d pods have their Event", len(got), pods)
		}
		return nil
	})
	stop()
	if err := <-ready; err != nil {
		t.Errorf("the webhook did not decide all the time: %v", err)
	}
}
