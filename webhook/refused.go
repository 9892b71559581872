package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/webhook/refusals"
)

// refusedCreates takes what controllers report of refused pods to the memory
// of refusals, and gives back what was reserved for them.
type refusedCreates struct {
	memory  *refusals.Memory
	inv     *inventory.Inventory
	leads   func() error
	reports chan report
}

type report struct {
	namespace  string
	controller types.UID
	message    string
	tries      int
}

const (
	// reportsKept bounds the reports that wait; more are dropped, as the
	// controllers report again.
	reportsKept = 1024
	// seen is how long the pods of the same controller that were let in may
	// take to be seen, and reportTries how often that is waited for.
	seen        = 300 * time.Millisecond
	reportTries = 5
)

func newRefusedCreates(m *refusals.Memory, inv *inventory.Inventory, leads func() error) *refusedCreates {
	return &refusedCreates{memory: m, inv: inv, leads: leads, reports: make(chan report, reportsKept)}
}

// observe takes an Event of a pod that the API server denied its controller. It
// does not block.
func (r *refusedCreates) observe(e *corev1.Event) {
	r.put(report{namespace: e.InvolvedObject.Namespace, controller: e.InvolvedObject.UID, message: e.Message})
}

func (r *refusedCreates) put(p report) {
	select {
	case r.reports <- p:
	default:
	}
}

// run works through the reports until ctx ends.
func (r *refusedCreates) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-r.reports:
			r.take(ctx, p)
		}
	}
}

// take gives one report to the memory, and puts it back where it cannot tell
// yet which of a controller's decisions was refused.
func (r *refusedCreates) take(ctx context.Context, p report) {
	if r.leads() != nil {
		return // whoever decides has the decisions
	}
	lost, ok := r.memory.CreateFailed(refusals.OwnerOf(p.namespace, p.controller, "", ""), p.message)
	for _, id := range lost {
		r.inv.Release(p.namespace, id)
	}
	if p.tries++; ok || p.tries > reportTries {
		return
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-time.After(seen):
			r.put(p)
		}
	}()
}
