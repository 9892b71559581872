package check

import (
	"slices"
	"strings"

	"heteroaccel.io/pkg/containerruntime"
)

// driver judges, where the exporters are told to be a DRA driver, whether the container
// runtimes of their nodes give containers the devices. Elsewhere there is no such line.
func driver(c *Cluster) []Line {
	const check = "driver"
	args := c.Programs[Exporter].Value.Args
	if c.Nodes.Err != nil || !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--drive=") }) {
		return nil
	}
	assumed := slices.Contains(args, "--runtime-has-cdi") || slices.Contains(args, "--runtime-has-cdi=true")
	concerned := c.concerned()
	var lines []Line
	nodes := 0
	for _, n := range c.Nodes.Value {
		if !concerned[n.Name] {
			continue
		}
		nodes++
		if why := containerruntime.LacksCDI(n.Status.NodeInfo.ContainerRuntimeVersion, assumed); why != "" {
			lines = append(lines, wrong(check, "kubectl get node "+n.Name+" -o wide", "nothing is published on node %s: %s", n.Name, why))
		}
	}
	if len(lines) > 0 {
		return lines
	}
	return []Line{ok(check, "the container runtimes of %s have CDI", count(nodes, "node"))}
}
