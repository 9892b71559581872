package show

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/cli/pages"
)

// TestTopUse: what of a node's devices is busy, idle and blocked, and why.
func TestTopUse(t *testing.T) {
	const class = "deviceclass.resource.kubernetes.io/gpu.example.com"
	for name, tt := range map[string]struct{ node, want string }{
		"idle":            {`{"telemetry":{"fresh":true},"resources":[{"resource":"x/gpu","kinds":["GPU"],"capacity":2,"usable":2}]}`, "GPU 2: 0 busy, 2 idle, 0 blocked []"},
		"held":            {`{"telemetry":{"fresh":true},"resources":[{"resource":"x/gpu","kinds":["GPU"],"capacity":2,"held":2}]}`, "GPU 2: 2 busy, 0 idle, 0 blocked []"},
		"more than there": {`{"telemetry":{"fresh":true},"resources":[{"resource":"x/gpu","kinds":["GPU"],"capacity":1,"held":2}]}`, "GPU 1: 2 busy, 0 idle, 0 blocked []"},
		"unhealthy":       {`{"telemetry":{"fresh":true},"resources":[{"resource":"x/gpu","kinds":["GPU"],"capacity":1}],"devices":[{"kind":"GPU","resource":"x/gpu","healthy":false}]}`, "GPU 1: 0 busy, 0 idle, 1 blocked [unhealthy]"},
		"of no profile":   {`{"telemetry":{"fresh":true},"resources":[{"resource":"x/fuse","kinds":[],"capacity":5,"usable":5}]}`, ""},
		"two resources":   {`{"telemetry":{"fresh":true},"resources":[{"resource":"x/gpu","kinds":["GPU"],"capacity":1,"usable":1},{"resource":"y/gpu","kinds":["GPU"],"capacity":2,"held":2}]}`, "GPU 3: 2 busy, 1 idle, 0 blocked []"},
		"by a class": {`{"telemetry":{"fresh":true},"resources":[{"resource":"` + class + `","kinds":["GPU"],"capacity":2,"held":1,"usable":1}],"devices":[{"kind":"GPU"},{"kind":"GPU"}]}`,
			"GPU 2: 1 busy, 1 idle, 0 blocked []"},
		"by both": {`{"telemetry":{"fresh":true},"resources":[{"resource":"x/gpu","kinds":["GPU"],"capacity":2,"usable":2},{"resource":"` + class + `","kinds":["GPU"],"capacity":2,"held":1,"usable":1}]}`,
			"GPU 2: 0 busy, 2 idle, 0 blocked []"},
		"of two kinds": {`{"telemetry":{"fresh":true},"resources":[{"resource":"x/any","kinds":["FPGA","NPU"],"capacity":1,"usable":1}],"devices":[{"kind":"NPU","resource":"x/any","healthy":false}]}`,
			"FPGA,NPU 1: 0 busy, 1 idle, 0 blocked [unhealthy]"},
		"offered by nothing":    {`{"telemetry":{"fresh":true},"devices":[{"kind":"GPU"}]}`, "GPU 0: 0 busy, 0 idle, 0 blocked [not offered to pods]"},
		"a conflict, no scrape": {`{"conflict":"two sources","resources":[{"resource":"x/gpu","kinds":["GPU"],"capacity":1,"usable":1}]}`, "GPU 1: 0 busy, 1 idle, 0 blocked [conflict: two sources no telemetry]"},
	} {
		t.Run(name, func(t *testing.T) {
			var n pages.Node
			if err := json.Unmarshal([]byte(tt.node), &n); err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, u := range TopOf(pages.Nodes{Nodes: []pages.Node{n}}, pages.Pods{}).Nodes {
				if u.Kind != cpu {
					got += fmt.Sprintf("%s %g: %g busy, %g idle, %g blocked %v", u.Kind, u.Slots, u.Busy, u.Idle, u.Blocked, u.Notes)
				}
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestTopOrder: kinds for which pods wait come first, then what is blocked, then what is
// busy. A kind that no node has is there if pods wait for it.
func TestTopOrder(t *testing.T) {
	nodes := pages.Nodes{Omissions: pages.Omissions{NotShown: "x"}}
	for i := range 3 {
		nodes.Nodes = append(nodes.Nodes, pages.Node{Name: fmt.Sprint("n", i), Telemetry: &pages.Telemetry{Fresh: true}, Resources: []pages.Resource{
			{Resource: "x/a", Kinds: []string{"A"}, Capacity: 2, Held: int64(i), Usable: int64(2 - i)},
			{Resource: "x/b", Kinds: []string{"B"}, Capacity: 1, Usable: 1},
			{Resource: "x/c", Kinds: []string{"C"}, Capacity: 1},
		}})
	}
	top := TopOf(nodes, pages.Pods{Omissions: pages.Omissions{NotShown: "x"}, Pods: []pages.Pod{
		{Kind: "B", AgeSeconds: 5}, {Kind: "B", AgeSeconds: 9}, {Kind: "D"}, {Kind: "A", Node: "n0"}, {Kind: "A", Deleted: true},
	}})
	var kinds, rows []string
	for _, k := range top.Kinds {
		kinds = append(kinds, fmt.Sprintf("%s %d %g", k.Kind, k.Waiting, k.OldestSeconds))
	}
	for _, n := range top.Nodes {
		if n.Kind == "A" || n.Kind == "C" {
			rows = append(rows, n.Node+" "+n.Kind)
		}
	}
	if diff := cmp.Diff([]string{"B 2 9", "D 1 0", "C 0 0", "A 0 0", "CPU 0 0"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"n0 C", "n1 C", "n2 C", "n2 A", "n1 A", "n0 A"}, rows); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	if top.NotShown != "x" {
		t.Errorf("left out is %q", top.NotShown)
	}
}

// TestTopOfMany: an overview of many nodes is short, and a wide one has them all.
func TestTopOfMany(t *testing.T) {
	var nodes pages.Nodes
	for i := range 100 {
		nodes.Nodes = append(nodes.Nodes, pages.Node{Name: fmt.Sprintf("node-%02d", i), Telemetry: &pages.Telemetry{Fresh: true}, Resources: []pages.Resource{{Resource: "x/a", Kinds: []string{"A"}, Capacity: 1, Usable: 1}}})
	}
	top := TopOf(nodes, pages.Pods{})
	if text := top.Text(false); strings.Count(text, "\n") > 25 || !strings.HasSuffix(text, "and 85 lines more: see -o wide\n") {
		t.Errorf("it has %d lines:\n%s", strings.Count(text, "\n"), text)
	}
	if text := top.Text(true); strings.Count(text, "node-") != 200 {
		t.Errorf("a wide one has %d rows", strings.Count(text, "node-"))
	}
	if text := TopOf(pages.Nodes{}, pages.Pods{}).Text(false); text != "no nodes are known yet\n" {
		t.Errorf("of nothing: %q", text)
	}
}
