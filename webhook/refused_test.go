package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/refusals"
)

// TestReportsAreBounded: whoever may create Events fills no memory with them.
func TestReportsAreBounded(t *testing.T) {
	r := newRefusedCreates(refusals.New(time.Now), inventory.New(inventory.Options{}))
	for i := range 2 * maxReports {
		r.observe(&corev1.Event{
			InvolvedObject: corev1.ObjectReference{Namespace: "ns", UID: types.UID(fmt.Sprint(i) + strings.Repeat("u", 10<<10))},
			Message:        strings.Repeat("m", 10<<10),
		})
	}
	if len(r.reports) != maxReports {
		t.Errorf("%d reports wait, want %d", len(r.reports), maxReports)
	}
	if p := <-r.reports; len(p.message) > maxReport || len(p.owner.UID) > 64 {
		t.Errorf("%d bytes of a message and %d of a UID are kept", len(p.message), len(p.owner.UID))
	}
}
