package readmit

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/pkg/accel"
)

func forbid(message string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New(message))
}

// TestOnlyUntilGone: a quota that is full only because it still counts the pod
// which goes is against nothing.
func TestOnlyUntilGone(t *testing.T) {
	old := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("1Gi"), "gpu.intel.com/i915": resource.MustParse("1")},
		Limits:   corev1.ResourceList{"cpu": resource.MustParse("3")},
	}}}}}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"its place among pods":     {forbid("exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5"), true},
		"as a count":               {forbid("exceeded quota: q, requested: count/pods=1, used: count/pods=5, limited: count/pods=5"), true},
		"its cores":                {forbid("exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=4, limited: requests.cpu=4"), true},
		"more cores than its own":  {forbid("exceeded quota: q, requested: cpu=4, used: cpu=4, limited: cpu=4"), false},
		"some cores were left":     {forbid("exceeded quota: q, requested: cpu=4, used: cpu=3, limited: cpu=5"), true},
		"its limit":                {forbid("exceeded quota: q, requested: limits.cpu=3, used: limits.cpu=3, limited: limits.cpu=3"), true},
		"its device":               {forbid("exceeded quota: q, requested: requests.gpu.intel.com/i915=1, used: requests.gpu.intel.com/i915=1, limited: requests.gpu.intel.com/i915=1"), true},
		"a device it has not":      {forbid("exceeded quota: q, requested: requests.npu.intel.com/accel=1, used: requests.npu.intel.com/accel=0, limited: requests.npu.intel.com/accel=0"), false},
		"one of two amounts":       {forbid("exceeded quota: q, requested: memory=1Gi,requests.npu.intel.com/accel=1, used: memory=2Gi,requests.npu.intel.com/accel=1, limited: memory=2Gi,requests.npu.intel.com/accel=1"), false},
		"two quotas at once":       {forbid("exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5, exceeded quota: r, requested: x=1, used: x=0, limited: x=0"), false},
		"no quota's words":         {forbid("maximum cpu usage per Container is 1, but limit is 2"), false},
		"cut off":                  {forbid("exceeded quota: q, requested: pods=1, used: pods=5"), false},
		"no amounts":               {forbid("exceeded quota: q, requested: pods=many, used: pods=5, limited: pods=5"), false},
		"nothing over":             {forbid("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=5"), false},
		"not the API server's own": {errors.New("exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := onlyUntilGone(c.err, old); got != c.want {
				t.Errorf("%v: %v, want %v", c.err, got, c.want)
			}
		})
	}
}

func TestUnauthorized(t *testing.T) {
	for message, want := range map[string]bool{
		`User "system:serviceaccount:heteroaccel-system:heteroaccel-webhook" cannot create resource "pods" in API group "" in the namespace "ns"`: true,
		`User "x" cannot get resource "replicasets" in API group "apps" in the namespace "ns"`:                                                    true,
		"maximum cpu usage per Container is 1, but limit is 2":                                                                                    false,
	} {
		if got := unauthorized(forbid(message)); got != want {
			t.Errorf("%s: %v, want %v", message, got, want)
		}
	}
	if unauthorized(nil) || unauthorized(errors.New("cannot create resource")) {
		t.Error("something else is taken for a missing right")
	}
}

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
		"Job": {func(p *corev1.Pod) { p.Finalizers = []string{jobFinalizer} }, func(p *corev1.Pod) {
			p.GenerateName, p.Spec.Hostname, p.Finalizers = "p-", "p-0", []string{jobFinalizer}
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
