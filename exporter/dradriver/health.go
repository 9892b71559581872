package dradriver

import (
	"context"
	"time"

	"k8s.io/dynamic-resource-allocation/kubeletplugin"

	"heteroaccel.io/pkg/accel"
)

// WatchHealthStatus implements kubeletplugin.DRAPlugin: the kubelet writes the health of
// their devices into the status of pods. It is what the taints say.
func (d *Driver) WatchHealthStatus(ctx context.Context, reports chan<- kubeletplugin.DeviceHealthReport) error {
	ticker := time.NewTicker(d.config.Refresh)
	defer ticker.Stop()
	for {
		if report := d.health(time.Now()); len(report.Devices) > 0 {
			select {
			case <-ctx.Done():
				return nil
			case reports <- report:
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// health reports the published devices.
func (d *Driver) health(now time.Time) kubeletplugin.DeviceHealthReport {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out kubeletplugin.DeviceHealthReport
	for _, one := range d.state.devices {
		health := kubeletplugin.DeviceHealth{
			PoolName: d.config.Node, DeviceName: one.Name, Health: kubeletplugin.HealthStatusHealthy,
			LastUpdated: now, HealthCheckTimeout: max(30*time.Second, 4*d.config.Refresh),
		}
		for _, t := range one.Taints {
			if t.Key == accel.TaintUnhealthy {
				health.Health, health.Message = kubeletplugin.HealthStatusUnhealthy, t.Value
			}
		}
		out.Devices = append(out.Devices, health)
	}
	return out
}
