package recreate

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestAvailable: a pod is available once it has been Ready for long enough.
func TestAvailable(t *testing.T) {
	since := time.Unix(1000, 0)
	pod := func(status corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Unix(0, 0)},
			{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(since)},
		}}}
	}
	for name, test := range map[string]struct {
		pod      *corev1.Pod
		minReady time.Duration
		after    time.Duration
		want     bool
	}{
		"at once":          {pod: pod(corev1.ConditionTrue), want: true},
		"not yet":          {pod: pod(corev1.ConditionTrue), minReady: 10 * time.Second, after: 9 * time.Second},
		"by now":           {pod: pod(corev1.ConditionTrue), minReady: 10 * time.Second, after: 10 * time.Second, want: true},
		"not Ready":        {pod: pod(corev1.ConditionFalse), after: time.Hour},
		"not Ready before": {pod: &corev1.Pod{}, after: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isAvailable(test.pod, test.minReady, since.Add(test.after)); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
