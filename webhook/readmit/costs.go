package readmit

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/readmit/servers"
	"heteroaccel.io/webhook/readmit/upgrade"
)

const (
	// costPeriod is how often at most deletion costs are looked at, and costPause how long
	// they are left alone once the API server refused one.
	costPeriod = time.Second
	costPause  = time.Minute
	// maxCosts is how many are set at a time.
	maxCosts = 20
)

// costs is what is known of the deletion costs of servers.
type costs struct {
	// notBefore belongs to the loop's goroutine.
	notBefore time.Time
	// busy is set while some are set, refused once one was refused.
	busy, refused atomic.Bool
}

// keepCosts sets the deletion costs of the servers of Deployments that have some on
// slower kinds, so that those are the first to go when there are to be fewer. It returns in
// how long it wants to look again.
func (r *term) keepCosts(ctx context.Context, now time.Time) (next time.Duration) {
	c := &r.costs
	if !r.DeletionCosts || r.Suspended() || c.busy.Load() {
		return 0
	}
	if c.refused.Swap(false) {
		c.notBefore = now.Add(costPause)
	}
	if wait := c.notBefore.Sub(now); wait > 0 {
		return wait
	}
	c.notBefore = now.Add(costPeriod)
	type change struct {
		*servers.Server
		cost int
	}
	var changes []change
	for _, all := range r.servers.Mixed() {
		if r.upgrades.ledger.Busy(all[0].Owner()) {
			continue // the one that moves has the cost by which it is deleted
		}
		replicas := make([]upgrade.Replica, len(all))
		for i, s := range all {
			replicas[i] = upgrade.Replica{Cost: s.Cost, Own: s.OwnCost}
			if p, ok := r.Options.Profiles.Get(s.Inference); ok {
				replicas[i].Takes = p.ServerTime(s.Kind)
			}
		}
		for i, cost := range upgrade.Costs(replicas) {
			changes = append(changes, change{all[i], cost})
		}
	}
	if len(changes) == 0 {
		return 0
	}
	c.busy.Store(true)
	r.tasks.Go(func() {
		defer r.wake()
		defer c.busy.Store(false)
		for _, one := range changes[:min(len(changes), maxCosts)] {
			if err := r.setCost(ctx, one.Server, one.cost); err != nil && podapi.Definite(err) {
				c.refused.Store(true)
				r.Log.Warn().Err(err).Str("pod", one.Key().String()).Msg("set which of a Deployment's servers is deleted first: refused, tried again in a minute")
				return
			}
		}
	})
	return 0
}

// setCost sets the deletion cost of a server, unless somebody else has meanwhile.
func (r *term) setCost(ctx context.Context, s *servers.Server, cost int) error {
	pod, err := r.recreator.Pods.Get(ctx, s.Key())
	if err != nil || pod.UID != s.UID || pod.DeletionTimestamp != nil {
		return nil // it is gone, or will be
	}
	if _, own := servers.CostOf(pod.Annotations); own {
		return nil
	}
	value := strconv.Itoa(cost)
	err = r.recreator.Pods.PatchMetadata(ctx, pod, map[string]any{"annotations": map[string]any{
		corev1.PodDeletionCost: value, accel.DeletionCostAnnotation: value,
	}})
	if podapi.Changed(err) != err {
		return nil // it changed, and is looked at again
	}
	return err
}
