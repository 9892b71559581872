package check

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// exporters judges whether an exporter runs on every node.
func exporters(c *Cluster) []Line {
	const check = "exporters"
	p := c.Programs[Exporter]
	switch {
	case p.Err != nil:
		return []Line{unread(check, p.Err, "read DaemonSets in "+c.Exporters, "the DaemonSet "+Exporter+" is missing", apply)}
	case c.Nodes.Err != nil:
		return []Line{unread(check, c.Nodes.Err, "list nodes", "there are no nodes", "")}
	case c.ExporterPods.Err != nil:
		return []Line{unread(check, c.ExporterPods.Err, "list pods in "+c.Exporters, "", "")}
	}
	ready := map[string]bool{}
	there := map[string]bool{}
	for _, p := range c.ExporterPods.Value {
		there[p.Spec.NodeName] = true
		ready[p.Spec.NodeName] = ready[p.Spec.NodeName] || isReady(p)
	}
	var lines []Line
	nodes := 0
	for _, n := range c.Nodes.Value {
		if !onLinux(n) {
			continue
		}
		nodes++
		switch {
		case !there[n.Name]:
			lines = append(lines, wrong(check, fmt.Sprintf("kubectl -n %s describe daemonset %s", c.Exporters, Exporter), "no exporter runs on node %s", n.Name))
		case !ready[n.Name]:
			lines = append(lines, wrong(check, fmt.Sprintf("kubectl -n %s describe pods --field-selector spec.nodeName=%s", c.Exporters, n.Name), "the exporter on node %s is not ready", n.Name))
		}
	}
	if len(lines) == 0 {
		lines = append(lines, ok(check, "ready on %s", count(nodes, "node")))
	}
	return lines
}

func isReady(p corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func onLinux(n corev1.Node) bool {
	os := n.Labels[corev1.LabelOSStable]
	return os == "" || os == "linux"
}
