package main

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
)

// TestReportOverdue: each reservation is told once, with what becomes of the device.
func TestReportOverdue(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	all := []inventory.Overdue{
		{Namespace: "lab", Pod: "face-*", Reservation: "a", Kind: "GPU", After: 10 * time.Second},
		{Namespace: "lab", Pod: "one", Reservation: "b", Kind: "NPU", After: 10 * time.Second, For: 50 * time.Second},
	}
	var got []journal.Entry
	taken := 0
	run := reportOverdue(func() ([]inventory.Overdue, int) {
		if taken++; taken > 1 {
			end()
			return nil, 0
		}
		return all, 7
	}, func(e journal.Entry) { got = append(got, e) }, zerolog.Nop())
	if err := run(ctx); err != nil {
		t.Fatal(err)
	}
	want := []journal.Entry{
		{What: journal.Lapsed, Namespace: "lab", GenerateName: "face-", Kind: "GPU", Reservation: "a", Reason: "the pod was not created within 10s: the GPU is free for others again"},
		{What: journal.Lapsed, Namespace: "lab", Pod: "one", Kind: "NPU", Reservation: "b", Reason: "the pod was not created within 10s: the NPU stays reserved for 50s more"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
