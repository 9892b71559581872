package readmit

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/refusals"
)

// cachedOptions are those of a template, as long as its profile and the rules of its
// namespace stay the same.
type cachedOptions struct {
	profile *profile.Profile
	rules   uint64
	list    []inventory.Option
}

// groups are the pending pods by template, with how their options stand. It
// forgets what is known of pods and templates that are not pending any more.
func (r *term) groups(now time.Time) []*pending.Group {
	r.expected.Expire(now)
	byTemplate := map[*pending.Template]*pending.Group{}
	pods := map[types.UID]bool{}
	for _, p := range r.pending.All() {
		pods[p.UID] = true
		g := byTemplate[p.Template]
		if g == nil {
			g = &pending.Group{Template: p.Template}
			byTemplate[p.Template] = g
		}
		g.Pods = append(g.Pods, p)
	}
	r.attempts.keep(pods)
	for _, over := range r.moves.keep(pods) {
		r.Inventory.Release(over.namespace, over.reservation)
	}
	r.requeuer.Keep(func(p types.UID) bool { return pods[p] }, func(t *pending.Template) bool { return byTemplate[t] != nil })
	maps.DeleteFunc(r.optionCache, func(t *pending.Template, _ *cachedOptions) bool { return byTemplate[t] == nil })
	var groups []*pending.Group
	for t, g := range byTemplate {
		g.Options = r.optionsOf(t)
		if p := r.optionCache[t].profile; p != nil {
			g.Deadline = p.Deadline
		}
		own := slices.IndexFunc(g.Options, func(o inventory.Option) bool { return o.Kind == t.Kind })
		if own < 0 {
			continue // the profile has changed: the pods stay where they wait
		}
		g.Candidates = r.Inventory.Candidates(g.Query())
		g.Own = g.Candidates[own]
		groups = append(groups, g)
	}
	return groups
}

// optionsOf are the options of a template with the service times of now: what is
// learned replaces the profile, as an edit does. They are nil when the profile
// has none for it any more.
func (r *term) optionsOf(t *pending.Template) []inventory.Option {
	p, _ := r.Options.Profiles.Get(t.Request.Inference)
	known, rules := r.optionCache[t], r.Options.Rules.Version()
	if known == nil || known.profile != p || known.rules != rules {
		known = &cachedOptions{profile: p, rules: rules}
		if _, list, err := r.Options.OfBound(t.Pod.Metadata.Namespace, t.Pod, t.Request, t.Late); err == nil {
			known.list = list
		}
		r.optionCache[t] = known
	}
	list := slices.Clone(known.list)
	for i := range list {
		if o := &list[i]; o.Barred == nil {
			o.Barred = r.Refusals.Refusal(refusals.Owner{}, t.RefusalGroup, o.Kind)
		}
	}
	return list
}
