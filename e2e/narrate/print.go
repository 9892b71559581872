package narrate

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// width is that of a terminal everybody has.
const width = 80

// Title prints a heading.
func Title(s string) { fmt.Printf("\n%s\n%s\n\n", s, strings.Repeat("-", len(s))) }

// Describe prints what the webhook made of a pod.
func Describe(p corev1.Pod) {
	c := p.Spec.Containers[0]
	fmt.Printf("%s\n", p.Annotations[accel.InferenceAnnotation])
	where := "on node " + p.Spec.NodeName
	if p.Spec.NodeName == "" {
		where = "on no node yet"
	}
	fmt.Printf("  kind    %s %s\n", p.Annotations[accel.SelectedAnnotation], where)
	fmt.Printf("  image   %s\n", c.Image)
	for name, q := range c.Resources.Limits {
		if name != corev1.ResourceMemory {
			fmt.Printf("  limit   %s: %s\n", name, q.String())
		}
	}
	for _, claim := range p.Spec.ResourceClaims {
		if name := claim.ResourceClaimName; name != nil {
			fmt.Printf("  claim   %s\n  device  %s\n", *name, p.Annotations[accel.DeviceAnnotation])
		}
	}
	fmt.Println(Wrap("  runs    ", strings.Join(append(c.Command, c.Args...), " ")))
	fmt.Println(Wrap("  reason  ", p.Annotations[accel.ReasonAnnotation]))
	fmt.Println()
}

// Wrap breaks text at spaces so that it fits the terminal, each line after
// the first indented like the label.
func Wrap(label, text string) string {
	var b strings.Builder
	b.WriteString(label)
	indent, column := strings.Repeat(" ", len(label)), len(label)
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > width:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

// kindOf is the kind a pod was given, or, for one pinned by hand,
// the kind that its limit names.
func kindOf(p corev1.Pod) string {
	if k := p.Annotations[accel.SelectedAnnotation]; k != "" {
		return k
	}
	for name := range p.Spec.Containers[0].Resources.Limits {
		if strings.HasPrefix(string(name), "gpu.intel.com/") {
			return "GPU"
		}
	}
	return "-"
}

// Unschedulable is why kube-scheduler found no node for a pod, "" if it did not
// try or found one.
func Unschedulable(p corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return c.Message
		}
	}
	return ""
}

// Count counts the pods of a phase.
func Count(pods []corev1.Pod, phase corev1.PodPhase) int {
	n := 0
	for _, p := range pods {
		if p.Status.Phase == phase {
			n++
		}
	}
	return n
}

// DifferentKinds fails unless every pod was given a kind of its own.
func DifferentKinds(pods []corev1.Pod) error {
	kinds := map[string]bool{}
	for _, p := range pods {
		kinds[p.Annotations[accel.SelectedAnnotation]] = true
	}
	if len(kinds) != len(pods) {
		return fmt.Errorf("%w: the %d pods run on %d kinds", ErrShown, len(pods), len(kinds))
	}
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
