package inventory

import "time"

// refresh marks the nodes stale whose samples have grown too old by now.
func (inv *Inventory) refresh(now time.Time) {
	if !now.After(inv.ageing) {
		return
	}
	inv.ageing = now.Add(inv.opts.MaxTelemetryAge)
	for _, n := range inv.places {
		if n == nil || !n.fresh {
			continue
		}
		if stale := n.Telemetry.Time.Add(inv.opts.MaxTelemetryAge); !now.After(stale) {
			if stale.Before(inv.ageing) {
				inv.ageing = stale
			}
			continue
		}
		m := *n
		m.fresh = false
		inv.putNode(&m)
	}
}
