package claim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
)

// TestEachReasonArrives: each new reason is an Event of its own, with its words. Those that
// client-go takes for repetitions would have the words of the first.
func TestEachReasonArrives(t *testing.T) {
	r := newRig(t, "GPU")
	r.shown(t)
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: r.api.EventsV1()})
	defer broadcaster.Shutdown()
	if err := broadcaster.StartRecordingToSinkWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Recorder = broadcaster.NewRecorder(scheme.Scheme, "test")
	reasons := []string{"a quota is against it", "a policy is against it", "another policy is against it"}
	for _, reason := range reasons {
		r.mu.Lock() // Events are created meanwhile
		r.answers["create resourceclaims"] = denied(reason)
		r.mu.Unlock()
		if err := r.sync(t.Context(), r.key()); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		list, err := r.api.EventsV1().Events("ns").List(ctx, metav1.ListOptions{})
		said = nil
		for _, e := range list.Items {
			said = append(said, fmt.Sprint(e.Reason, ": ", e.Note))
		}
		return len(said) == len(reasons), err
	})
	if err != nil {
		t.Fatalf("%q is said, want an Event for each reason: %v", said, err)
	}
	for _, reason := range reasons {
		if !strings.Contains(strings.Join(said, "\n"), reason) {
			t.Errorf("nobody says %q, but %q", reason, said)
		}
	}
}
