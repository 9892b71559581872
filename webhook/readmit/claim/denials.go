package claim

import (
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/pending"
)

// denials are the pods that have no claim because the API server denies it, or because
// somebody else's has its name. The zero value has none.
type denials struct {
	mu sync.Mutex
	of map[types.NamespacedName]*denial
	// foreign are the pods whose claim is somebody else's, by the claim.
	foreign map[types.NamespacedName]types.NamespacedName
}

// denial is what is known of one of these pods.
type denial struct {
	uid   types.UID
	claim types.NamespacedName
	// kind is that for which the API server denied the claim last, "" for a claim of
	// somebody else's.
	kind accel.Kind
	// times is how often in a row.
	times int
	// said are the reasons that its owner was told.
	said []string
}

const (
	// firstDenied is how soon a claim is asked for again that was denied, doubling up to
	// maxDenied: a quota may be raised, a policy changed, at any time.
	firstDenied, maxDenied = time.Second, 30 * time.Second
	// maxSaid bounds the reasons of which a pod's owner is told.
	maxSaid = 8
)

// add notes that the claim of a pod was denied, for a kind or, with "", because it is
// somebody else's. It returns in how long to ask again, and which reason it is, counted
// from 1, that its owner has yet to be told, 0 for none.
func (d *denials) add(p *pending.Pod, kind accel.Kind, reason string) (again time.Duration, tell int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of, d.foreign = map[types.NamespacedName]*denial{}, map[types.NamespacedName]types.NamespacedName{}
	}
	x := d.of[p.Key()]
	if x == nil || x.uid != p.UID {
		x = &denial{uid: p.UID, claim: claimOf(p)}
		d.of[p.Key()] = x
	}
	if delete(d.foreign, x.claim); kind == "" {
		d.foreign[x.claim] = p.Key()
	}
	if x.kind != kind {
		x.kind, x.times = kind, 0
	}
	again = firstDenied
	for range x.times {
		again = min(2*again, maxDenied)
	}
	x.times++
	// A quota's message counts, up to now, what there is.
	reason, _, _ = strings.Cut(reason, ", used: ")
	if !slices.Contains(x.said, reason) && len(x.said) < maxSaid {
		x.said = append(x.said, reason)
		tell = len(x.said)
	}
	return again, tell
}

// forget forgets a pod: it has its claim, or is gone.
func (d *denials) forget(pod types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if x := d.of[pod]; x != nil {
		delete(d.foreign, x.claim)
		delete(d.of, pod)
	}
}

// denied reports whether the API server denies the claim of a pod for its kind.
func (d *denials) denied(p *pending.Pod) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.of[p.Key()]
	return x != nil && x.uid == p.UID && x.kind == p.Template.Kind
}

// told reports whether the owner of a pod was told why it has no claim.
func (d *denials) told(p *pending.Pod) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	x := d.of[p.Key()]
	return x != nil && x.uid == p.UID
}

// waitsFor is the pod that waits until a claim of somebody else's is gone; its name is ""
// for none.
func (d *denials) waitsFor(claim types.NamespacedName) types.NamespacedName {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.foreign[claim]
}
