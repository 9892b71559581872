package inventory

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestVerdict(t *testing.T) {
	since := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	unbound := func(reason, message string, status corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionFalse, Message: "another condition"},
			{Type: corev1.PodScheduled, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(since)},
		}}}
	}
	edit := func(p *corev1.Pod, edits ...func(*corev1.Pod)) *corev1.Pod {
		for _, e := range edits {
			e(p)
		}
		return p
	}
	const words = "0/3 nodes are available: 3 Insufficient gpu.intel.com/i915."
	long := strings.Repeat("é", maxText)
	tests := map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"new":             {&corev1.Pod{}, ""},
		"unschedulable":   {unbound("Unschedulable", words, corev1.ConditionFalse), words},
		"an error":        {unbound("SchedulerError", "no route", corev1.ConditionFalse), "SchedulerError: no route"},
		"no message":      {unbound("Unschedulable", "", corev1.ConditionFalse), "Unschedulable"},
		"scheduled":       {unbound("", "", corev1.ConditionTrue), ""},
		"bound meanwhile": {edit(unbound("Unschedulable", words, corev1.ConditionFalse), func(p *corev1.Pod) { p.Spec.NodeName = "n" }), ""},
		"gated": {edit(unbound("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates", corev1.ConditionFalse),
			func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "queue"}} }), ""},
		"long": {unbound("Unschedulable", long, corev1.ConditionFalse), strings.Repeat("é", (maxText-len("…"))/2) + "…"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := PodOf(tt.pod, nil)
			if p.Verdict != tt.want || len(p.Verdict) > maxText || !utf8.ValidString(p.Verdict) {
				t.Errorf("verdict %q, %d bytes, want %q", p.Verdict, len(p.Verdict), tt.want)
			}
			if set := p.VerdictTime.Equal(since); set != (tt.want != "") {
				t.Errorf("verdict %q since %v", p.Verdict, p.VerdictTime)
			}
		})
	}
}
