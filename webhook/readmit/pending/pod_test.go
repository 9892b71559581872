package pending

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/podtest"
)

func TestOf(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*corev1.Pod) // it was admitted
		after  func(*corev1.Pod)
		want   OwnerKind // "" when it is left alone
	}{
		"bare":                  {want: OwnerNone},
		"ReplicaSet":            {before: podtest.OwnedBy("apps/v1", "ReplicaSet"), want: OwnerController},
		"StatefulSet":           {before: podtest.OwnedBy("apps/v1", "StatefulSet"), want: OwnerController},
		"DaemonSet":             {before: podtest.OwnedBy("apps/v1", "DaemonSet"), want: OwnerController},
		"ReplicationController": {before: podtest.OwnedBy("v1", "ReplicationController"), want: OwnerController},
		"Job":                   {before: podtest.OfJob, want: OwnerJob},
		"somebody's ReplicaSet": {before: podtest.OwnedBy("example.com/v1", "ReplicaSet")},
		"somebody's Job":        {before: podtest.OwnedBy("example.com/v1", "Job")},
		"Workflow":              {before: podtest.OwnedBy("argoproj.io/v1alpha1", "Workflow")},
		"Job with own selector": {before: podtest.OwnedBy("batch/v1", "Job")},
		"somebody's finalizer":  {before: func(p *corev1.Pod) { p.Finalizers = []string{"example.com/keep"} }},
		"released already":      {after: func(p *corev1.Pod) { p.Labels = map[string]string{accel.ReleasedLabel: "x"} }},
		"bound":                 {after: func(p *corev1.Pod) { p.Spec.NodeName = "n" }},
		"being deleted":         {after: func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }},
		"gated":                 {after: func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}} }},
		"preempts":              {after: func(p *corev1.Pod) { p.Status.NominatedNodeName = "n" }},
		"ended":                 {after: func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }},
		"no record":             {after: func(p *corev1.Pod) { delete(p.Annotations, accel.OriginalAnnotation) }},
		"record of another pod": {after: func(p *corev1.Pod) { p.Annotations[accel.ReservationAnnotation] = "other" }},
		"no request any more":   {after: func(p *corev1.Pod) { delete(p.Annotations, accel.InferenceAnnotation) }},
		"another namespace's":   {after: func(p *corev1.Pod) { p.Namespace = "elsewhere" }},
		"no selected kind":      {after: func(p *corev1.Pod) { delete(p.Annotations, accel.SelectedAnnotation) }},
		"an owner, no controller": {before: func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "c"}}
		}, want: OwnerNone},
	} {
		t.Run(name, func(t *testing.T) {
			var before []func(*corev1.Pod)
			if c.before != nil {
				before = append(before, c.before)
			}
			pod := podtest.Admitted(t, "p", "r", before...)
			if c.after != nil {
				c.after(pod)
			}
			got, ok := Of(pod, podtest.Keys)
			if ok != (c.want != "") || ok && got.Owner != c.want {
				t.Errorf("got %+v, %v, want %q", got, ok, c.want)
			}
		})
	}
}
