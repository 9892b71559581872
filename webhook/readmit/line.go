package readmit

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/webhook/refusals"
)

// ways are the options of a class, as long as its profile and the rules of
// namespaces stay the same.
type ways struct {
	profile *profile.Profile
	rules   uint64
	options []inventory.Option
}

// line is a class of pods that wait, and how its options stand.
type line struct {
	class      *class
	waiters    []*waiter
	options    []inventory.Option
	candidates []inventory.Candidate
	// own is the candidate of the kind they wait for.
	own inventory.Candidate
}

// query asks how the options of a line stand for one of its pods.
func (l *line) query() inventory.Query {
	return inventory.Query{Namespace: l.class.pod.Metadata.Namespace, Options: l.options, Replaces: l.waiters[0].name}
}

// lines gathers the pods that wait, and forgets what there was about others.
func (r *Readmitter) lines(now time.Time) []*line {
	byClass := map[*class]*line{}
	r.expected.Expire(now)
	r.mu.Lock()
	live := make(map[types.UID]bool, len(r.book.waiting))
	for _, w := range r.book.waiting {
		live[w.uid] = true
		l := byClass[w.class]
		if l == nil {
			l = &line{class: w.class}
			byClass[w.class] = l
		}
		l.waiters = append(l.waiters, w)
	}
	for uid, s := range r.states {
		if !live[uid] && !s.busy {
			delete(r.states, uid)
		}
	}
	r.mu.Unlock()
	for c := range r.ways {
		if byClass[c] == nil {
			delete(r.ways, c)
			delete(r.usable, c)
		}
	}
	var lines []*line
	for c, l := range byClass {
		l.options = r.optionsOf(c)
		own := slices.IndexFunc(l.options, func(o inventory.Option) bool { return o.Kind == c.kind })
		if own < 0 {
			continue // the profile has changed: where it waits is where it stays
		}
		l.candidates = r.Inventory.Candidates(l.query())
		l.own = l.candidates[own]
		lines = append(lines, l)
	}
	return lines
}

// optionsOf are the ways in which a class could run, with the service times of
// now: what is learned makes another profile of it, as an edit does. They are
// nil when the profile has none for it any more.
func (r *Readmitter) optionsOf(c *class) []inventory.Option {
	p, _ := r.Options.Profiles.Get(c.req.Inference)
	w, rules := r.ways[c], r.Options.Rules.Version()
	if w == nil || w.profile != p || w.rules != rules {
		w = &ways{profile: p, rules: rules}
		if _, options, err := r.Options.Of(c.pod.Metadata.Namespace, c.pod, c.req); err == nil {
			w.options = options
		}
		r.ways[c] = w
	}
	options := slices.Clone(w.options)
	for i := range options {
		if o := &options[i]; o.Barred == nil {
			o.Barred = r.Refusals.Refusal(refusals.Owner{}, c.shared, o.Kind)
		}
	}
	return options
}

func flat(lines []*line) []*waiter {
	var all []*waiter
	for _, l := range lines {
		all = append(all, l.waiters...)
	}
	return all
}
