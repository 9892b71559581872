package twin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func variant(kind string, limits corev1.ResourceList) v1alpha1.Variant {
	return v1alpha1.Variant{Accelerator: kind, Device: kind, Image: "image:" + kind, Limits: limits}
}

func TestResources(t *testing.T) {
	tests := map[string]struct {
		has, want corev1.ResourceRequirements
		variant   v1alpha1.Variant
	}{
		"a device": {
			variant: variant("GPU", list("x.io/gpu", "1")),
			want:    corev1.ResourceRequirements{Limits: list("x.io/gpu", "1"), Requests: list("x.io/gpu", "1")},
		},
		"a device, and the user's own memory": {
			has:     corev1.ResourceRequirements{Requests: list("memory", "64Mi")},
			variant: variant("GPU", list("x.io/gpu", "1")),
			want:    corev1.ResourceRequirements{Limits: list("x.io/gpu", "1"), Requests: list("x.io/gpu", "1", "memory", "64Mi")},
		},
		"cores": {
			variant: variant("CPU", list("cpu", "2", "memory", "1Gi")),
			want:    corev1.ResourceRequirements{Limits: list("cpu", "2", "memory", "1Gi"), Requests: list("cpu", "2", "memory", "1Gi")},
		},
		"cores, where the user limits them to less": {
			has:     corev1.ResourceRequirements{Limits: list("cpu", "400m"), Requests: list("cpu", "200m")},
			variant: variant("CPU", list("cpu", "2")),
			want:    corev1.ResourceRequirements{Limits: list("cpu", "2"), Requests: list("cpu", "2")},
		},
		"memory that the user limits": {
			has:     corev1.ResourceRequirements{Limits: list("memory", "200Mi"), Requests: list("memory", "128Mi")},
			variant: variant("CPU", list("cpu", "2", "memory", "1Gi")),
			want:    corev1.ResourceRequirements{Limits: list("cpu", "2", "memory", "200Mi"), Requests: list("cpu", "2", "memory", "128Mi")},
		},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "other"}, {Name: "inference", Resources: c.has}}}}
			pod := Pinned(template, "inference", c.variant)
			if diff := cmp.Diff(c.want, pod.Spec.Containers[1].Resources); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
			if r := pod.Spec.Containers[0].Resources; len(r.Limits)+len(r.Requests) > 0 {
				t.Errorf("the other container has %v", r)
			}
		})
	}
}

// TestOf: what the scheduler's other plugins look at is the pod's own, and
// nothing makes the twin ours or a controller's.
func TestOf(t *testing.T) {
	template := &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, Annotations: map[string]string{accel.InferenceAnnotation: "i"}},
		Spec: corev1.PodSpec{
			PriorityClassName: "high",
			Containers:        []corev1.Container{{Name: "inference", Command: []string{"./run", "-d", "GPU"}, Ports: []corev1.ContainerPort{{HostPort: 80}}}},
		},
	}
	data := corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-web-0"}}}
	token := corev1.Volume{Name: "kube-api-access-x", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}
	tied := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}
	live := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "web-0", Labels: map[string]string{"app": "web", "statefulset.kubernetes.io/pod-name": "web-0"},
			Annotations:     map[string]string{accel.SelectedAnnotation: "GPU"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "StatefulSet", Name: "web", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{
			Priority: new(int32(100)), PriorityClassName: "high", Affinity: tied, Volumes: []corev1.Volume{data, token},
			Tolerations: []corev1.Toleration{{Key: "t", Operator: corev1.TolerationOpExists}},
		},
	}
	v := variant("FPGA", list("x.io/fpga", "1"))
	v.SupplementalGroups = []int64{109}
	v.Volumes = []corev1.Volume{{Name: "dfl"}}
	v.NodeSelector = map[string]v1alpha1.LabelValue{"fpga": "yes"}
	holder := metav1.OwnerReference{Kind: "ConfigMap", Name: "holder", Controller: new(true)}
	want := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "twin-", Namespace: "ns", Annotations: map[string]string{},
			Labels:          map[string]string{"app": "web", "statefulset.kubernetes.io/pod-name": "web-0", Label: "fpga"},
			OwnerReferences: []metav1.OwnerReference{holder},
		},
		Spec: corev1.PodSpec{
			PriorityClassName: "lowest", Affinity: tied, Volumes: []corev1.Volume{{Name: "dfl"}, data},
			Tolerations: live.Spec.Tolerations, NodeSelector: map[string]string{"fpga": "yes"}, TerminationGracePeriodSeconds: new(int64(0)),
			SecurityContext: &corev1.PodSecurityContext{SupplementalGroups: []int64{109}},
			Containers: []corev1.Container{{
				Name: "inference", Image: "image:FPGA", Command: []string{"./run", "-d", "FPGA"}, Ports: []corev1.ContainerPort{{HostPort: 80}},
				Resources: corev1.ResourceRequirements{Limits: list("x.io/fpga", "1"), Requests: list("x.io/fpga", "1")},
			}},
		},
	}
	before := template.DeepCopy()
	if diff := cmp.Diff(want, Of(live, template, "inference", v, "lowest", holder)); diff != "" {
		t.Errorf("twin (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, template); diff != "" {
		t.Errorf("the template was changed (-before +after):\n%s", diff)
	}
}

func TestCharge(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{
		{Resources: corev1.ResourceRequirements{Requests: list("cpu", "100m", "x.io/gpu", "1"), Limits: list("x.io/gpu", "1", "memory", "1Gi")}},
		{Resources: corev1.ResourceRequirements{Requests: list("cpu", "50m")}},
	}}}
	hard := list("pods", "5", "count/pods", "5", "requests.cpu", "2", "cpu", "2", "requests.x.io/gpu", "1", "requests.y.io/npu", "1", "limits.memory", "2Gi")
	want := list("pods", "1", "count/pods", "1", "requests.cpu", "150m", "cpu", "150m", "requests.x.io/gpu", "1", "limits.memory", "1Gi")
	if diff := cmp.Diff(want, Charge(pod, hard)); diff != "" {
		t.Errorf("charge (-want +got):\n%s", diff)
	}
}
