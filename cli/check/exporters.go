package check

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// exporters judges whether an exporter runs on every node that needs one.
func exporters(c *Cluster) []Line {
	const check = "exporters"
	p := c.Programs[Exporter]
	switch {
	case p.Err != nil:
		return []Line{unread(check, p.Err, "read DaemonSets in "+c.Exporters, "the DaemonSet "+Exporter+" is missing", c.install())}
	case c.Nodes.Err != nil:
		return []Line{unread(check, c.Nodes.Err, "list nodes", "there are no nodes", "")}
	case c.ExporterPods.Err != nil:
		return []Line{unread(check, c.ExporterPods.Err, "list pods in "+c.Exporters, "", "")}
	}
	ready := map[string]bool{}
	there := map[string]bool{}
	for _, p := range c.ExporterPods.Value {
		if p.Spec.NodeName == "" {
			continue // kube-scheduler has not bound it
		}
		there[p.Spec.NodeName] = true
		ready[p.Spec.NodeName] = ready[p.Spec.NodeName] || isReady(p)
	}
	var lines []Line
	describe := fmt.Sprintf("kubectl -n %s describe daemonset %s", c.Exporters, Exporter)
	nodes := 0
	concerned := c.concerned()
	for _, n := range c.Nodes.Value {
		if !concerned[n.Name] {
			continue
		}
		nodes++
		switch {
		case !there[n.Name]:
			lines = append(lines, wrong(check, describe, "no exporter runs on node %s", n.Name))
		case !ready[n.Name]:
			lines = append(lines, wrong(check, fmt.Sprintf("kubectl -n %s describe pods --field-selector spec.nodeName=%s", c.Exporters, n.Name), "the exporter on node %s is not ready", n.Name))
		}
	}
	switch {
	case len(lines) > 0:
		return lines
	case len(there) < p.Value.Desired:
		return []Line{wrong(check, describe, "the DaemonSet is for %s, and exporters run on %d", count(p.Value.Desired, "node"), len(there))}
	}
	return []Line{ok(check, "ready on %s", count(nodes, "node"))}
}

// concerned are the nodes that are to have an exporter, as far as could be read: those of
// Linux whose kubelet knows of a device, and those on which one runs. A DaemonSet may leave
// out all others.
func (c *Cluster) concerned() map[string]bool {
	nodes := map[string]bool{}
	for _, n := range c.Nodes.Value {
		nodes[n.Name] = onLinux(n) && hasDevice(n)
	}
	for _, p := range c.ExporterPods.Value {
		nodes[p.Spec.NodeName] = true
	}
	return nodes
}

func isReady(p corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// hasDevice reports whether the node's kubelet knows of a device. Of a device plugin that
// is gone a capacity of 0 stays.
func hasDevice(n corev1.Node) bool {
	return slices.ContainsFunc(accel.DeviceResources(n.Status.Capacity), func(name string) bool {
		q := n.Status.Capacity[corev1.ResourceName(name)]
		return q.Sign() > 0
	})
}

func onLinux(n corev1.Node) bool {
	os := n.Labels[corev1.LabelOSStable]
	return os == "" || os == "linux"
}
