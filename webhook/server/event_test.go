package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/inventory"
)

// TestNotableChoices: a pod that has to wait is announced once it is there, and one that
// gets what is idle is not.
func TestNotableChoices(t *testing.T) {
	said := events.NewFakeRecorder(10)
	choices := NewChoices(said)
	r := newRig(t, func(c *Config) { c.Choices = choices }).paper()
	var told []string
	for i := range 2 { // there is one GPU
		p, _ := r.admit(t, pod(fmt.Sprintf("p%d", i), "face-recognition", "gpu"))
		choices.Announce(seen(p))
		choices.Announce(seen(p)) // it is seen again
		select {
		case e := <-said.Events:
			told = append(told, e)
		default:
			told = append(told, "")
		}
	}
	if told[0] != "" {
		t.Errorf("the first gets what is idle, and %q is said", told[0])
	}
	if !strings.Contains(told[1], "AcceleratorSelected face-recognition on GPU: ") {
		t.Errorf("of the second, which waits, %q is said", told[1])
	}
	if len(said.Events)+len(choices.noted) > 0 {
		t.Errorf("%d more Events, %d pods are kept", len(said.Events), len(choices.noted))
	}
}

func seen(p *corev1.Pod) *inventory.Pod {
	return &inventory.Pod{Name: p.Name, Managed: &inventory.Managed{
		Inference: "face-recognition", Kind: "GPU", Reservation: p.Annotations["heteroaccel.io/reservation"], Reason: p.Annotations["heteroaccel.io/reason"],
	}}
}

// TestNotedForAWhile: pods that never come are forgotten, and there are never too many.
func TestNotedForAWhile(t *testing.T) {
	choices, now := NewChoices(events.NewFakeRecorder(1)), time.Unix(1_700_000_000, 0)
	for i := range maxNoted + 1 {
		choices.note(fmt.Sprint(i), now)
	}
	if n := len(choices.noted); n != maxNoted {
		t.Errorf("%d are kept, want %d", n, maxNoted)
	}
	choices.note("later", now.Add(noteLasts+time.Second))
	if n := len(choices.noted); n != 1 {
		t.Errorf("%d are kept, want the last", n)
	}
}
