package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/soak/plan"
)

// fault breaks something of a node.
func (s *soak) fault(ctx context.Context, e plan.Event) error {
	m := s.Machine(e.Node)
	switch e.Verb {
	case plan.Unbind: // the plugin does not notice
		return m.Unbind(e.Device)
	case plan.ExternalUse:
		return m.UseExternally(e.Device, "ffmpeg")
	case plan.Ill:
		if err := m.SetHealthy(e.Device, false); err != nil {
			return err
		}
		return s.SyncNode(ctx, m)
	case plan.Unplug:
		if err := m.Unplug(e.Device); err != nil {
			return err
		}
		return s.SyncNode(ctx, m)
	case plan.Plugin: // the kubelet calls all it served unhealthy
		return s.plugin(ctx, e.Node, false)
	case plan.Exporter:
		s.Process("exporter-" + e.Node).Stop()
		return nil
	case plan.Kubelet:
		s.Node(e.Node).Kubelet.Stop()
		return nil
	case plan.Cordon:
		return s.cordon(ctx, e.Node, true)
	}
	return fmt.Errorf("nobody knows how to do %q", e.Verb)
}

// mend undoes a fault.
func (s *soak) mend(ctx context.Context, e plan.Event) error {
	m := s.Machine(e.Node)
	switch e.Fault {
	case plan.Unbind:
		return m.Bind(e.Device)
	case plan.ExternalUse:
		return m.Release(e.Device)
	case plan.Ill:
		if err := m.SetHealthy(e.Device, true); err != nil {
			return err
		}
		return s.SyncNode(ctx, m)
	case plan.Unplug:
		if err := m.Plug(e.Device); err != nil {
			return err
		}
		return s.SyncNode(ctx, m)
	case plan.Plugin:
		return s.plugin(ctx, e.Node, true)
	case plan.Exporter:
		return s.StartExporter(e.Node)
	case plan.Kubelet:
		return s.Node(e.Node).Kubelet.Start()
	case plan.Cordon:
		return s.cordon(ctx, e.Node, false)
	}
	return fmt.Errorf("nobody knows how to mend %q", e.Fault)
}

// plugin has a device plugin of a node come or go.
func (s *soak) plugin(ctx context.Context, node string, there bool) error {
	m := s.Machine(node)
	for _, device := range s.plan.Served(node) {
		if err := m.SetHealthy(device, there); err != nil {
			return err
		}
	}
	return s.SyncNode(ctx, m)
}

func (s *soak) cordon(ctx context.Context, node string, closed bool) error {
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%v}}`, closed)
	if _, err := s.client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("cordon node %s: %w", node, err)
	}
	return nil
}
