package inventory

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func affinity(terms ...corev1.NodeSelectorTerm) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms},
		}}
	}
}

func expression(key string, op corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: op, Values: values}}}
}

func nodeNamed(op corev1.NodeSelectorOperator, names ...string) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: op, Values: names}}}
}

func tolerates(key string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists})
	}
}

// TestConstraints asks what a pod could run on among two nodes: g, and h with
// two devices.
func TestConstraints(t *testing.T) {
	tests := map[string]struct {
		g, h []nodeOption
		pod  []podOption
		want int64
	}{
		"none":                      {want: 3},
		"selector":                  {h: []nodeOption{labelled("room", "2")}, pod: []podOption{selects("room", "2")}, want: 2},
		"selector of nothing":       {pod: []podOption{selects("room", "2")}, want: 0},
		"cordoned":                  {h: []nodeOption{cordoned}, want: 1},
		"cordoned, tolerated":       {h: []nodeOption{cordoned}, pod: []podOption{tolerates("node.kubernetes.io/unschedulable")}, want: 3},
		"tainted":                   {h: []nodeOption{tainted("x", corev1.TaintEffectNoSchedule)}, want: 1},
		"tainted NoExecute":         {h: []nodeOption{tainted("x", corev1.TaintEffectNoExecute)}, want: 1},
		"tainted, softly":           {h: []nodeOption{tainted("x", corev1.TaintEffectPreferNoSchedule)}, want: 3},
		"tainted, tolerated":        {h: []nodeOption{tainted("x", corev1.TaintEffectNoSchedule)}, pod: []podOption{tolerates("x")}, want: 3},
		"tainted, another":          {h: []nodeOption{tainted("x", corev1.TaintEffectNoSchedule)}, pod: []podOption{tolerates("y")}, want: 1},
		"affinity":                  {g: []nodeOption{labelled("a", "1")}, pod: []podOption{affinity(expression("a", corev1.NodeSelectorOpIn, "1", "2"))}, want: 1},
		"affinity, not in":          {g: []nodeOption{labelled("a", "1")}, pod: []podOption{affinity(expression("a", corev1.NodeSelectorOpNotIn, "1"))}, want: 2},
		"affinity, one of two":      {g: []nodeOption{labelled("a", "1")}, h: []nodeOption{labelled("b", "")}, pod: []podOption{affinity(expression("a", corev1.NodeSelectorOpExists), expression("b", corev1.NodeSelectorOpExists))}, want: 3},
		"affinity and selector":     {g: []nodeOption{labelled("a", "1")}, h: []nodeOption{labelled("a", "2")}, pod: []podOption{selects("a", "1"), affinity(expression("a", corev1.NodeSelectorOpIn, "2"))}, want: 0},
		"affinity by name":          {pod: []podOption{affinity(nodeNamed(corev1.NodeSelectorOpIn, "h"))}, want: 2},
		"affinity by either name":   {pod: []podOption{affinity(nodeNamed(corev1.NodeSelectorOpIn, "h"), nodeNamed(corev1.NodeSelectorOpIn, "g"))}, want: 3},
		"affinity by name of none":  {pod: []podOption{affinity(nodeNamed(corev1.NodeSelectorOpIn, "x"))}, want: 0},
		"affinity by name, not":     {pod: []podOption{affinity(nodeNamed(corev1.NodeSelectorOpNotIn, "h"))}, want: 1},
		"affinity by name or label": {g: []nodeOption{labelled("a", "1")}, pod: []podOption{affinity(nodeNamed(corev1.NodeSelectorOpIn, "h"), expression("a", corev1.NodeSelectorOpExists))}, want: 3},
		"affinity with no term":     {pod: []podOption{affinity()}, want: 0},
		"affinity with empty term":  {pod: []podOption{affinity(corev1.NodeSelectorTerm{})}, want: 0},
		"affinity that is garbage":  {pod: []podOption{affinity(expression("a", "Garbage", "1"))}, want: 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			option := wants(gpu, tt.pod...)
			g := aNode("g", append(tt.g, has(gpu, 1))...)
			h := aNode("h", append(tt.h, has(gpu, 2))...)
			asked, late := newWorld(), newWorld()
			asked.look(option)
			for _, w := range []*world{asked, late} {
				w.SetNode(g)
				w.SetNode(h)
				if got := w.look(option).Usable; got != tt.want {
					t.Errorf("usable: got %d, want %d", got, tt.want)
				}
			}
			// The same nodes after a change there and back again.
			asked.SetNode(aNode("h", cordoned, has(gpu, 2)))
			asked.look(option)
			asked.SetNode(h)
			if got := asked.look(option).Usable; got != tt.want {
				t.Errorf("usable after a change there and back: got %d, want %d", got, tt.want)
			}
		})
	}
}

// TestLargeConstraints: past the bound nothing is kept of the constraints, and
// the pod fits nowhere, whatever it would match.
func TestLargeConstraints(t *testing.T) {
	values := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf("value-%057d", i)
		}
		return out
	}
	for name, tt := range map[string]struct {
		pod  podOption
		fits bool
		// preferred is set when what the pod prefers counts.
		preferred bool
	}{
		"30 KiB":         {affinity(expression("a", corev1.NodeSelectorOpNotIn, values(450)...)), true, false},
		"2 MiB":          {affinity(expression("a", corev1.NodeSelectorOpNotIn, values(30_000)...)), false, false},
		"selector":       {selects("a", strings.Repeat("v", MaxConstraints)), false, false},
		"tolerations":    {tolerates(strings.Repeat("k", MaxConstraints)), false, false},
		"names of nodes": {affinity(nodeNamed(corev1.NodeSelectorOpIn, append(values(2000), "g")...)), false, false},
		"prefers 4 KiB":  {prefers(1, expression("a", corev1.NodeSelectorOpNotIn, values(60)...)), true, true},
		"prefers 2 MiB":  {prefers(1, expression("a", corev1.NodeSelectorOpNotIn, values(30_000)...)), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.SetNode(aNode("g", has(gpu, 1)))
			option := wants(gpu, tt.pod)
			if got := w.look(option).Usable > 0; got != tt.fits {
				t.Errorf("it fits: %t, want %t", got, tt.fits)
			}
			c := option.Constraints
			if err := c.Err(); (err == nil) != tt.fits || c.Allow(w.nodes["g"]) != tt.fits {
				t.Errorf("error %v, allowed on the node: %t", err, c.Allow(w.nodes["g"]))
			}
			if got := w.look(option).PreferredNode == "g"; got != tt.preferred || (c.preferred != nil) != tt.preferred {
				t.Errorf("it prefers the node: %t, want %t", got, tt.preferred)
			}
			if kept := len(c.key) + len(c.nodeNames) + len(c.tolerations); kept > 64 || !tt.fits && c.affinity != nil {
				t.Errorf("%d bytes and names are kept", kept)
			}
		})
	}
}

func TestEqualConstraintsShareOneClass(t *testing.T) {
	w := newWorld()
	for range 3 {
		w.look(wants(gpu, selects("a", "1"), tolerates("x"), affinity(expression("b", corev1.NodeSelectorOpExists))))
		w.look(wants(gpu, selects("a", "2"), tolerates("x"), affinity(expression("b", corev1.NodeSelectorOpExists))))
		w.look(wants(gpu))
	}
	if len(w.classes) != 3 || len(w.eligible) != 3 {
		t.Errorf("%d classes and %d sets of eligible nodes, want 3 of each", len(w.classes), len(w.eligible))
	}
}

func TestAllowOnANodeNotYetSeen(t *testing.T) {
	if (*Constraints)(nil).Allow(&Node{Name: "x"}) {
		t.Error("a node of which only pods have come yet was allowed")
	}
}
