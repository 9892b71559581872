package controller

import "heteroaccel.io/pkg/telemetry"

// Observe takes a node's telemetry: which device each server holds.
func (k *Controller) Observe(s telemetry.Scrape) {
	held := map[string]string{}
	for i := range s.Devices {
		for _, h := range s.Devices[i].Holders {
			if h.Namespace == k.Namespace {
				held[h.Pod] = s.Devices[i].ID
			}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, device := range held {
		if v := k.table.Server(name); v != nil && v.Device != device {
			next := *v
			next.Device = device
			k.table.PutServer(&next)
			k.tellAll(v.Pool)
		}
	}
}
