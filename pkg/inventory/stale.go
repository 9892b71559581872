package inventory

import "time"

// markStale marks the nodes stale whose telemetry is too old now.
func (inv *Inventory) markStale(now time.Time) {
	if !now.After(inv.nextStale) {
		return
	}
	inv.nextStale = now.Add(inv.opts.MaxTelemetryAge)
	for _, n := range inv.byIndex {
		if n == nil || !n.fresh {
			continue
		}
		if stale := n.Telemetry.Time.Add(inv.opts.MaxTelemetryAge); !now.After(stale) {
			if stale.Before(inv.nextStale) {
				inv.nextStale = stale
			}
			continue
		}
		m := *n
		m.fresh = false
		inv.putNode(&m)
	}
}
