package main

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/text"
	"heteroaccel.io/webhook/refusals"
)

// refusedCreates passes what controllers report of pods that the API server denied
// on to the memory of refusals, and releases what was reserved for them.
type refusedCreates struct {
	memory  *refusals.Memory
	inv     *inventory.Inventory
	reports chan report
}

type report struct {
	owner   refusals.Owner
	message string
	tries   int
}

const (
	// maxReports bounds the reports that wait; more are dropped, as the controllers
	// report again. maxReport bounds the message of each, in bytes.
	maxReports = 1024
	maxReport  = 4 << 10
	// retryAfter is how long the admitted pods of the same controller may take to
	// be seen, and maxTries how often a report is tried.
	retryAfter = 300 * time.Millisecond
	maxTries   = 5
)

func newRefusedCreates(m *refusals.Memory, inv *inventory.Inventory) *refusedCreates {
	return &refusedCreates{memory: m, inv: inv, reports: make(chan report, maxReports)}
}

// observe takes an Event of a pod that the API server denied its controller. It
// does not block.
func (r *refusedCreates) observe(e *corev1.Event) {
	r.put(report{owner: refusals.OwnerOf(e.InvolvedObject.Namespace, e.InvolvedObject.UID, "", ""), message: text.Shorten(e.Message, maxReport)})
}

func (r *refusedCreates) put(p report) {
	select {
	case r.reports <- p:
	default:
	}
}

// run works through the reports of a term until it ends, whose context ctx is: those
// of before are about decisions of others.
func (r *refusedCreates) run(ctx context.Context) error {
	for len(r.reports) > 0 {
		<-r.reports
	}
	var again sync.WaitGroup
	defer again.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-r.reports:
			if r.take(&p) {
				again.Go(func() {
					select {
					case <-ctx.Done():
					case <-time.After(retryAfter):
						r.put(p)
					}
				})
			}
		}
	}
}

// take passes one report to the memory; again while the memory cannot tell which of
// the controller's decisions was refused.
func (r *refusedCreates) take(p *report) (again bool) {
	lost, ok := r.memory.CreateFailed(p.owner, p.message)
	for _, id := range lost {
		r.inv.Release(p.owner.Namespace, id)
	}
	p.tries++
	return !ok && p.tries <= maxTries
}
