package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
)

// reportOverdue tells of the reservations that became overdue, each second until the term
// ends.
func reportOverdue(take func() ([]inventory.Overdue, int), record func(journal.Entry), log zerolog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			overdue, more := take()
			for _, o := range overdue {
				record(entryOf(o))
			}
			if more > 0 {
				log.Warn().Int("reservations", more).Msg("more pods were not created within a second than are listed")
			}
		}
	}
}

// entryOf is what is told of an overdue reservation.
func entryOf(o inventory.Overdue) journal.Entry {
	e := journal.Entry{What: journal.Lapsed, Namespace: o.Namespace, Pod: o.Pod, Kind: o.Kind, Reservation: o.Reservation}
	if prefix, generated := strings.CutSuffix(o.Pod, "*"); generated {
		e.Pod, e.GenerateName = "", prefix
	}
	e.Reason = fmt.Sprintf("the pod was not created within %s: the %s is free for others again", o.After, o.Kind)
	if o.For > 0 {
		e.Reason = fmt.Sprintf("the pod was not created within %s: the %s stays reserved for %s more", o.After, o.Kind, o.For)
	}
	return e
}
