package e2e

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// helperFirst: a helper that stands first stays what it is.
func helperFirst(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "helper-container-first")
	p, said, err := warned(t, s, in)
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, said)
	for i, c := range p.Spec.Containers {
		was := in.Spec.Containers[i]
		if c.Name == "wait" && (c.Image != was.Image || !slices.Equal(c.Command, was.Command) || len(c.Resources.Limits) > 0) {
			t.Errorf("the helper was mutated: %s %q %v", c.Image, c.Command, c.Resources)
		}
		if c.Name == "main" && !strings.HasPrefix(c.Image, "heteroaccel/face-recognition:") {
			t.Errorf("the main container runs %s", c.Image)
		}
	}
}

// severalContainers: kubectl prints which there are and what to write.
func severalContainers(t *testing.T, s *stack.Stack) {
	two := func(p *corev1.Pod) {
		p.Spec.Containers[0].Name, p.Spec.Containers[0].Command = "app", []string{"./run"}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "log", Image: "log"})
	}
	said, err := s.KubectlInput(t.Context(), manifest(t, anyPod("several", "face-recognition", "any", two)), "create", "-f", "-")
	want := "the pod has several containers (app, log), and nothing says which of them runs the inference: name it in annotation heteroaccel.io/container"
	if err == nil || !strings.Contains(said, want) {
		t.Errorf("kubectl says\n%s\nwant\n%s", said, want)
	}
	p := create(t, s, anyPod("several", "face-recognition", "any", two, withAnnotation(accel.ContainerAnnotation, "log")))
	if image := p.Spec.Containers[1].Image; !strings.HasPrefix(image, "heteroaccel/face-recognition:") {
		t.Errorf("the named container runs %s", image)
	}
}

// mirrorPod: what a kubelet posts of a file on its node comes through as it is.
func mirrorPod(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "static-pod-mirror")
	node, err := s.Client().CoreV1().Nodes().Get(t.Context(), "n", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in.OwnerReferences[0].UID = node.UID
	p, said, err := warned(t, s, in)
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, said)
	if kind(p) != "" || p.Spec.NodeName != "n" || !slices.Equal(p.Spec.Containers[0].Command, in.Spec.Containers[0].Command) {
		t.Errorf("it was mutated: %v, node %q, %q", p.Annotations, p.Spec.NodeName, p.Spec.Containers[0].Command)
	}
}

// limitRange: what a LimitRange filled in makes way for what the kind needs.
func limitRange(t *testing.T, s *stack.Stack) {
	namespace(t, s, "plant")
	_, err := s.Client().CoreV1().LimitRanges("plant").Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "everybody"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:           corev1.LimitTypeContainer,
			Default:        amounts("500m", "256Mi"),
			DefaultRequest: amounts("100m", "128Mi"),
			Max:            amounts("4", "4Gi"),
		}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		own  corev1.ResourceRequirements
		want corev1.ResourceRequirements
	}{
		"defaults": {want: corev1.ResourceRequirements{Limits: amounts("2", "1Gi"), Requests: amounts("2", "1Gi")}},
		"its own memory": {
			own:  corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}},
			want: corev1.ResourceRequirements{Limits: amounts("2", "512Mi"), Requests: amounts("2", "512Mi")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := create(t, s, anyPod("ranged-"+strings.ReplaceAll(name, " ", "-"), "face-recognition", "cpu", inNamespace("plant"),
				func(p *corev1.Pod) { p.Spec.Containers[0].Resources = c.own }))
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				got, want := p.Spec.Containers[0].Resources, c.want
				limit, request := got.Limits[name], got.Requests[name]
				if limit.Cmp(want.Limits[name]) != 0 || request.Cmp(want.Requests[name]) != 0 {
					t.Errorf("%s: limit %s, request %s, want %v", name, &limit, &request, want)
				}
			}
		})
	}
}

func amounts(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

// claimed: a container with a claim is refused, one beside it is not.
func claimed(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "claim")
	_, _, err := warned(t, s, in)
	want := `container "app" uses the resource claim "gpu", which chooses a device by itself: remove the claim from the container, or the annotation heteroaccel.io/inference from the pod`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	claims := in.Spec.Containers[0].Resources.Claims
	in.Spec.Containers[0].Resources.Claims = nil
	in.Spec.Containers = append(in.Spec.Containers, corev1.Container{
		Name: "record", Image: "example/record:1", Resources: corev1.ResourceRequirements{Claims: claims},
	})
	p, _, err := warned(t, s, in)
	if err != nil {
		t.Fatal(err)
	}
	if kind(p) == "" || len(p.Spec.Containers[1].Resources.Claims) != 1 {
		t.Errorf("kind %q, the other container's claims %v", kind(p), p.Spec.Containers[1].Resources.Claims)
	}
}

// otherScheduler: a pod of a scheduler that does not ask us is refused.
func otherScheduler(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "other-scheduler")
	_, _, err := warned(t, s, in)
	want := `spec.schedulerName is "volcano", and only pods of default-scheduler, edge-scheduler are placed by device here`
	if err == nil || !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	in.Spec.SchedulerName = "edge-scheduler"
	if p := create(t, s, in); kind(p) == "" {
		t.Error("a pod of the other scheduler of ours was not mutated")
	}
}

// wholePods: pods with resources of the whole pod are admitted, and the API
// server takes what the webhook makes of them.
func wholePods(t *testing.T, s *stack.Stack) {
	for _, kinds := range []string{"gpu,npu", "cpu"} {
		for name, change := range map[string]func(*corev1.ResourceRequirements){
			"as it is": func(*corev1.ResourceRequirements) {},
			"small": func(r *corev1.ResourceRequirements) {
				r.Limits, r.Requests = amounts("1", "256Mi"), amounts("500m", "128Mi")
			},
			"a limit alone":  func(r *corev1.ResourceRequirements) { r.Limits, r.Requests = amounts("1", "256Mi"), nil },
			"requests alone": func(r *corev1.ResourceRequirements) { r.Limits = nil },
			"memory alone": func(r *corev1.ResourceRequirements) {
				delete(r.Limits, corev1.ResourceCPU)
				delete(r.Requests, corev1.ResourceCPU)
			},
		} {
			t.Run(kinds+", "+name, func(t *testing.T) {
				in := templatePod(t, "pod-level-resources")
				in.Name, in.GenerateName = "", "tills-"
				in.Annotations[accel.AcceleratorAnnotation] = kinds
				change(in.Spec.Resources)
				p := create(t, s, in)
				r := p.Spec.Containers[0].Resources
				if kinds != "cpu" {
					if kind(p) != "GPU" && kind(p) != "NPU" || len(devices(p)) != 1 {
						t.Errorf("it got %s, %v", kind(p), r)
					}
					return
				}
				cpu := r.Requests[corev1.ResourceCPU]
				if cpu.Cmp(resource.MustParse("2")) < 0 || len(devices(p)) > 0 {
					t.Errorf("on the CPU its container requests %v", r.Requests)
				}
				if whole, ok := p.Spec.Resources.Requests[corev1.ResourceCPU]; ok && whole.Cmp(cpu) < 0 {
					t.Errorf("the whole pod requests %s of cpu, its container %s", &whole, &cpu)
				}
			})
		}
	}
}
