package learning

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/resources"
)

// outcome is what became of a finished pod's run: learned from, or why not.
type outcome string

const (
	learned outcome = "learned"
	// failed: it did not succeed by itself. The end of a pod that was deleted says
	// nothing, and a server ends in no other way.
	failed outcome = "failed"
	// unwritten: the device was written nowhere that the program is known to read,
	// so it may have run on another.
	unwritten outcome = "unwritten"
	// unknown: its profile has no such variant any more.
	unknown outcome = "unknown"
	// edit: its variant was edited since, or what was learned reset.
	edit outcome = "edited"
	// altered: its container has, or had, another image or device than the variant,
	// or not its limits. Either somebody changed the pod, or copied a record to one
	// of their own, or another webhook replaces images.
	altered outcome = "altered"
	// unallocated: it is bound late, and its claim was never seen to have a device of
	// the variant's DeviceClass.
	unallocated outcome = "unallocated"
	// elsewhere: its node does not offer the variant's device.
	elsewhere outcome = "elsewhere"
	// untimed: when it started or ended is unknown, or in the future.
	untimed outcome = "untimed"
)

// maxAhead is how far the end of a run may be ahead of our clock: a node's clock
// may differ, and a run of next year would make all others look old.
const maxAhead = time.Minute

// tells is whether the run of a pod that ended, one of ours, tells how long a
// variant of its profile takes. of is nil where the profile is gone. There is no
// least duration: a run of 80 ms is an honest one.
func (l *Learner) tells(p *inventory.Pod, of *profile.Profile) outcome {
	if p.Deleted || !p.Run.Succeeded || !p.Run.Ends {
		return failed
	}
	if why := l.given(p, of); why != learned {
		return why
	}
	if !p.Run.Created.After(of.LearnedSince) && !of.LearnedSince.IsZero() {
		return edit
	}
	if _, ok := p.Run.Duration(); !ok || p.Run.Ended.After(l.cfg.Now().Add(maxAhead)) {
		return untimed
	}
	return learned
}

// given is learned where a pod, one of ours, has what the variant is that it was given, and
// runs it.
func (l *Learner) given(p *inventory.Pod, of *profile.Profile) outcome {
	if p.Managed.Unwritten {
		return unwritten
	}
	v := variantOf(p, of)
	if v == nil {
		return unknown
	}
	if of.ResetPending {
		return edit
	}
	if p.Run.Altered || p.Run.Image != v.Spec.Image || p.Run.Device != v.Device || !takes(p, v) {
		return altered
	}
	return l.has(p, v)
}

// Serves is the variant that a server runs, one of ours, if what it reports from now on can
// tell how long the variant takes: neither was altered since.
func (l *Learner) Serves(p *inventory.Pod, of *profile.Profile) (v *profile.Variant, ok bool) {
	if p.Run == nil || p.Run.Ends || p.Deleted || p.Done || l.given(p, of) != learned {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v = variantOf(p, of)
	return v, !l.isEdited(p, of, v)
}

// variantOf is the variant of a profile that a pod was given, nil if there is none any
// more; of may be nil.
func variantOf(p *inventory.Pod, of *profile.Profile) *profile.Variant {
	switch {
	case of == nil:
		return nil
	case p.Claim != "":
		return of.LateVariant(p.Managed.Kind)
	}
	return of.Variant(p.Managed.Kind)
}

// has is learned where a pod had the devices of a variant on its node, as far as can be
// known: those of an extended resource are the node's that offers it, those of a
// DeviceClass what the pod's claim has.
func (l *Learner) has(p *inventory.Pod, v *profile.Variant) outcome {
	if p.Claim == "" {
		if !l.offered(p.Node, v) {
			return elsewhere
		}
		return learned
	}
	devices, node := p.Granted()
	switch {
	case devices.Device(accel.ClassResource(v.Class)) == 0:
		return unallocated
	case node != p.Node:
		return elsewhere
	}
	return learned
}

// takes reports whether a pod has what a variant's limits name: the cores, for the
// CPU, or else the devices, unless it has a claim in their place.
func takes(p *inventory.Pod, v *profile.Variant) bool {
	if v.Kind == accel.CPU {
		return p.Needs.CPU >= resources.Of(v.Spec.Limits).CPU
	}
	for name, amount := range v.Devices {
		if p.Needs.Device(string(name)) < amount.Value() {
			return false
		}
	}
	return true
}

// offered reports whether a node offers what a variant takes.
func (l *Learner) offered(node string, v *profile.Variant) bool {
	if len(v.Devices) == 0 {
		return l.cfg.Offers(node, "")
	}
	for name := range v.Devices {
		if !l.cfg.Offers(node, string(name)) {
			return false
		}
	}
	return true
}

// newRuns are the runs of finished pods, by their outcome.
func newRuns() *prometheus.CounterVec {
	runs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "heteroaccel_webhook_finished_runs_total",
		Help: "Runs of pods that ended, by whether their time was learned, and why not.",
	}, []string{"outcome"})
	for _, o := range []outcome{learned, failed, unwritten, unknown, edit, altered, unallocated, elsewhere, untimed} {
		runs.WithLabelValues(string(o))
	}
	return runs
}
