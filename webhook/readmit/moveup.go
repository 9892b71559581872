package readmit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/readmit/servers"
	"heteroaccel.io/webhook/readmit/upgrade"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
)

// Why a server is moved.
const (
	becauseOfRollout = "rollout"
	becauseAsked     = "asked"
)

const (
	// maxMovers is how many servers are moved at the same time.
	maxMovers = 4
	// upgradePeriod is how often at most servers are looked at.
	upgradePeriod = 200 * time.Millisecond
)

// upgrades are what is known of the servers that may be moved.
type upgrades struct {
	ledger *upgrade.Ledger
	// movers bounds how many are moved, or read, at once.
	movers chan struct{}

	// looked and patience belong to the loop's goroutine.
	looked   time.Time
	patience upgrade.Patience

	mu *sync.Mutex
	// templates are those of the servers that were read; nil for one that is being read, or
	// could not be.
	templates map[types.UID]*pending.Template
}

func newUpgrades() upgrades {
	return upgrades{
		ledger: &upgrade.Ledger{}, movers: make(chan struct{}, maxMovers),
		mu: &sync.Mutex{}, templates: map[types.UID]*pending.Template{},
	}
}

// moveUp looks at the servers that were displaced or ask for it, and starts to move those
// for which a faster kind is idle. It returns in how long it wants to look again.
func (r *term) moveUp(ctx context.Context, now time.Time) (next time.Duration) {
	if !r.MoveUp || r.Suspended() {
		return 0
	}
	all := r.servers.Upgradable()
	if wait := r.upgrades.looked.Add(upgradePeriod).Sub(now); len(all) > 0 && wait > 0 {
		return wait
	}
	r.upgrades.looked = now
	r.keepUpgrades(all, now)
	for _, s := range all {
		wait := r.considerMove(ctx, s, now)
		next = sooner(next, wait)
	}
	return next
}

// keepUpgrades forgets the servers that are gone.
func (r *term) keepUpgrades(all []*servers.Server, now time.Time) {
	owners, pods := map[types.NamespacedName]bool{}, map[types.UID]bool{}
	for _, s := range all {
		owners[s.Owner()], pods[s.UID] = true, true
	}
	u := &r.upgrades
	u.ledger.Keep(owners, now)
	u.patience.Keep(pods)
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.templates, func(uid types.UID, _ *pending.Template) bool { return !pods[uid] })
}

// considerMove starts to move a server if it may be and a faster kind is idle. It returns
// after how long it should be considered again, 0 where something else will tell.
func (r *term) considerMove(ctx context.Context, s *servers.Server, now time.Time) (next time.Duration) {
	u := &r.upgrades
	displaced := s.Displaced != ""
	if s.ReadySince.IsZero() || r.servers.RollsOut(s) {
		return 0
	}
	template, known := u.template(s.UID)
	if !known {
		r.readTemplate(ctx, s)
	}
	if template == nil {
		return 0
	}
	q := inventory.Query{Namespace: s.Namespace, Pod: s.Name, Options: r.upgradeOptions(template)}
	if len(q.Options) == 0 {
		return 0
	}
	of := upgrade.Server{Pod: s.UID, Kind: s.Kind, Displaced: s.Displaced, Ready: s.ReadySince}
	to, wait := u.patience.May(r.Upgrades, of, r.Inventory.Candidates(q), now)
	if to == nil {
		return wait
	}
	// Before anything is reserved: to release it again would wake the loop.
	if wait, ok := u.ledger.May(r.Upgrades, s.Owner(), s.SetUID, !displaced, r.servers.Count(s.Owner()), now); !ok {
		return wait
	}
	if len(u.movers) == cap(u.movers) {
		return tick
	}
	q.Reservation = "upgrade-" + rand.Text()
	var from time.Duration
	chosen, ok := r.Inventory.DecideIf(q, func(c []inventory.Candidate) int {
		for i := range c {
			if c[i].Kind == s.Kind {
				from = c[i].Service
			}
		}
		return r.Upgrades.Faster(c, s.Kind, s.Displaced, to)
	})
	if !ok {
		return tick
	}
	u.ledger.Begin(s.Owner(), s.SetUID, !displaced, now)
	r.startMove(ctx, s, chosen, from, q.Reservation)
	return 0
}

// upgradeOptions are the options of a server, with what is known against them.
func (r *term) upgradeOptions(t *pending.Template) []inventory.Option {
	_, options, err := r.Options.OfBound(t.Pod.Metadata.Namespace, t.Pod, t.Request, t.Late)
	if err != nil {
		return nil // the profile has changed: the server stays where it is
	}
	for i := range options {
		if o := &options[i]; o.Barred == nil {
			o.Barred = r.Refusals.Refusal(refusals.Owner{}, t.RefusalGroup, o.Kind)
		}
	}
	return options
}

// template is what the options of a server depend on; known is false where it has to be
// read.
func (u *upgrades) template(pod types.UID) (t *pending.Template, known bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, known = u.templates[pod]
	return t, known
}

func (u *upgrades) setTemplate(pod types.UID, t *pending.Template) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.templates[pod] = t
}

// readTemplate reads a server's pod, of which the feed has not everything.
func (r *term) readTemplate(ctx context.Context, s *servers.Server) {
	u := &r.upgrades
	select {
	case u.movers <- struct{}{}:
	default:
		return // whoever ends wakes us
	}
	u.setTemplate(s.UID, nil)
	r.tasks.Go(func() {
		defer r.wake()
		defer func() { <-u.movers }()
		pod, err := r.recreator.Pods.Get(ctx, s.Key())
		if err != nil || pod.UID != s.UID {
			if err != nil && !podapi.Definite(err) {
				u.forget(s.UID) // it is read again
			}
			return
		}
		if t, ok := pending.TemplateOf(pod, r.Keys()); ok {
			u.setTemplate(s.UID, t)
		}
	})
}

func (u *upgrades) forget(pod types.UID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.templates, pod)
}

// startMove moves a server to a kind that is reserved for its successor; from is how long
// a run takes where it is.
func (r *term) startMove(ctx context.Context, s *servers.Server, chosen inventory.Candidate, from time.Duration, reservation string) {
	u := &r.upgrades
	e := &replacement.Expected{Reservation: reservation, Kind: chosen.Kind, From: s.Kind, Serving: true}
	u.movers <- struct{}{} // has room: only the loop puts in
	r.tasks.Go(func() {
		err := r.recreator.MoveUp(ctx, s, e, chosen, s.OptIn || r.asksForUpgrades(s.Inference))
		if err != nil {
			r.Inventory.Release(s.Namespace, reservation)
		}
		what := upgrade.Moved
		switch {
		case errors.Is(err, podapi.ErrChanged):
			what = upgrade.Lost
		case err != nil:
			what = upgrade.Failed
		}
		report := u.ledger.End(r.Upgrades, s.Owner(), what, time.Now())
		why := becauseAsked
		if s.Displaced != "" {
			why = becauseOfRollout
		}
		r.metrics.upgrades.WithLabelValues(why, outcomeOf(err)).Inc()
		r.reportMove(s, chosen, from, err, report)
		<-u.movers
		r.wake()
	})
}

// reportMove reports the outcome of a move in an Event of the pod, and of its controller,
// which outlives it. Of several failures in a row the first is reported.
func (r *term) reportMove(s *servers.Server, chosen inventory.Candidate, from time.Duration, err error, first bool) {
	pod := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: s.Namespace, Name: s.Name, UID: s.UID}
	of := s.Controller()
	set := &corev1.ObjectReference{APIVersion: of.APIVersion, Kind: of.Kind, Namespace: s.Namespace, Name: of.Name, UID: of.UID}
	entry := journal.Entry{
		Namespace: s.Namespace, Pod: s.Name, Owner: of.Kind + "/" + of.Name, Inference: s.Inference, From: s.Kind, Kind: chosen.Kind, Reservation: s.Reservation,
	}
	kind, reason := corev1.EventTypeNormal, "MovedUp"
	switch {
	case err == nil:
		entry.What = journal.MovedUp
		entry.Reason = fmt.Sprintf("server %s ran on %s, where a run takes %s, and %s was idle, where it takes %s: another pod serves there in its place", s.Name, s.Kind, round(from), chosen.Kind, round(chosen.Service))
	case first:
		entry.What, kind, reason = journal.Kept, corev1.EventTypeWarning, "NotMovedUp"
		entry.Reason = fmt.Sprintf("%s is idle, where a run takes %s, but the server stays on %s, where it takes %s: %v", chosen.Kind, round(chosen.Service), s.Kind, round(from), err)
	default:
		r.Log.Info().Err(err).Str("pod", s.Key().String()).Msg("move server to a faster kind: not now")
		return
	}
	for _, about := range []runtime.Object{pod, set} {
		r.Recorder.Eventf(about, nil, kind, reason, "Upgrade", "%.900s", entry.Reason)
	}
	if r.Decided != nil {
		r.Decided(entry)
	}
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
