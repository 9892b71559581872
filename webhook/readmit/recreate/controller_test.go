package recreate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/pending"
)

// TestReplacement: what a controller creates is its template with what it adds
// itself; nothing that admission added to the pod before.
func TestReplacement(t *testing.T) {
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{accel.InferenceAnnotation: "faces"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "mine"}}, Volumes: []corev1.Volume{{Name: "own"}}},
	}
	claim := corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-p-0"}}}
	old := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "ns", Name: "p-0", GenerateName: "p-", UID: "old", ResourceVersion: "7", Labels: map[string]string{"a": "b"},
				Annotations: map[string]string{accel.SelectedAnnotation: "GPU", accel.OriginalAnnotation: "x", "injected": "yes", "batch.kubernetes.io/job-completion-index": "3"},
			},
			Spec: corev1.PodSpec{
				NodeName: "", Hostname: "p-0", Subdomain: "svc", Priority: new(int32(3)),
				Containers: []corev1.Container{{Name: "main", Image: "gpu", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"x.io/gpu": resource.MustParse("1")}}}},
				Volumes:    []corev1.Volume{{Name: "own"}, {Name: "kube-api-access-x"}, claim},
			},
		}
		if change != nil {
			change(p)
		}
		return p
	}
	affinity := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
	for kind, c := range map[string]struct {
		change func(*corev1.Pod)
		want   func(*corev1.Pod)
	}{
		"ReplicaSet": {nil, func(p *corev1.Pod) { p.GenerateName = "p-" }},
		"StatefulSet": {nil, func(p *corev1.Pod) {
			p.Name, p.Spec.Hostname, p.Spec.Subdomain = "p-0", "p-0", "svc"
			p.Spec.Volumes = append(p.Spec.Volumes, claim)
		}},
		"DaemonSet": {func(p *corev1.Pod) { p.Spec.Affinity = affinity }, func(p *corev1.Pod) { p.GenerateName, p.Spec.Affinity = "p-", affinity }},
		"Job": {func(p *corev1.Pod) { p.Finalizers = []string{pending.JobFinalizer} }, func(p *corev1.Pod) {
			p.GenerateName, p.Spec.Hostname, p.Finalizers = "p-", "p-0", []string{pending.JobFinalizer}
		}},
	} {
		t.Run(kind, func(t *testing.T) {
			want := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{accel.InferenceAnnotation: "faces", "batch.kubernetes.io/job-completion-index": "3"}},
				Spec:       *template.Spec.DeepCopy(),
			}
			c.want(want)
			if diff := cmp.Diff(want, (&controller{kind: kind, template: template}).replacement(old(c.change))); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
		})
	}
	if len(template.Annotations) != 1 || len(template.Spec.Volumes) != 1 {
		t.Errorf("the template was changed: %v", template)
	}
}

func TestHashOf(t *testing.T) {
	set := func(change func(*appsv1.ReplicaSet)) *appsv1.ReplicaSet {
		o := &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "d", Controller: new(true)}}},
			Spec:       appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a", appsv1.DefaultDeploymentUniqueLabelKey: "hash"}}},
		}
		change(o)
		return o
	}
	for name, c := range map[string]struct {
		change func(*appsv1.ReplicaSet)
		want   string
	}{
		"a Deployment's":        {func(*appsv1.ReplicaSet) {}, "hash"},
		"nobody's":              {func(o *appsv1.ReplicaSet) { o.OwnerReferences = nil }, ""},
		"somebody's Deployment": {func(o *appsv1.ReplicaSet) { o.OwnerReferences[0].APIVersion = "example.com/v1" }, ""},
		"being deleted":         {func(o *appsv1.ReplicaSet) { o.DeletionTimestamp = &metav1.Time{} }, ""},
		"selects without a hash": {func(o *appsv1.ReplicaSet) {
			delete(o.Spec.Selector.MatchLabels, appsv1.DefaultDeploymentUniqueLabelKey)
		}, ""},
		"no selector": {func(o *appsv1.ReplicaSet) { o.Spec.Selector = nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hashOf(set(c.change)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
