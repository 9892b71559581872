package decisions

import (
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/journal"
)

const (
	// kept is how many entries are kept for who begins to read: an hour of a small
	// cluster, and a few MB at the very most.
	kept = 2000
	// burst is how many lines of one sort are logged in a second; of more, one in every
	// thinned.
	burst   = 20
	thinned = 100
)

// Recorder takes what was decided. Its methods may be called from any goroutine.
type Recorder struct {
	journal *journal.Journal
	// logs has a log for each sort: a flood of one hides no other.
	logs map[journal.What]zerolog.Logger
	now  func() time.Time
}

// messages are what a log line says of each sort.
var messages = map[journal.What]string{
	journal.Chosen:    "pod admitted: an idle accelerator was chosen",
	journal.Waits:     "pod admitted: it waits for an accelerator",
	journal.OverQuota: "pod admitted: the rules of its namespace are expected to deny it",
	journal.Denied:    "pod denied",
	journal.Recreated: "pod recreated for another kind",
	journal.Moved:     "pod moved to another kind",
	journal.MovedUp:   "server moved to a faster kind",
	journal.Kept:      "pod left alone: it could not be recreated or moved",
	journal.Lapsed:    "reservation lapsed: its pod was not created",
}

// New returns a recorder that has recorded nothing.
func New(log zerolog.Logger, now func() time.Time) *Recorder {
	r := &Recorder{journal: journal.New(kept), logs: map[journal.What]zerolog.Logger{}, now: now}
	for what := range messages {
		r.logs[what] = log.Sample(&zerolog.BurstSampler{Burst: burst, Period: time.Second, NextSampler: &zerolog.BasicSampler{N: thinned}})
	}
	return r
}

// Record logs an entry, unless there are too many, and keeps it. It sets the time.
func (r *Recorder) Record(e journal.Entry) {
	e.Time = r.now()
	r.journal.Add(e)
	log := r.logs[e.What]
	line := log.Info().Str("namespace", e.Namespace)
	for _, field := range []struct{ name, value string }{
		{"pod", e.Name()}, {"owner", e.Owner}, {"inference", e.Inference}, {"from", string(e.From)}, {"kind", string(e.Kind)}, {"reservation", e.Reservation},
	} {
		if field.value != "" {
			line = line.Str(field.name, field.value)
		}
	}
	if len(e.Refused) > 0 {
		refused := zerolog.Dict()
		for _, f := range e.Refused {
			refused = refused.Str(string(f.Kind), f.Why)
		}
		line = line.Dict("refused", refused)
	}
	if e.Micros > 0 {
		line = line.Dur("took", time.Duration(e.Micros)*time.Microsecond)
	}
	line.Str("reason", e.Reason).Msg(messages[e.What])
}
