package server

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

// TestRefusedAfterDeciding refuses a pod whose record would be too large: its
// reservation is released at once.
func TestRefusedAfterDeciding(t *testing.T) {
	r := newRig(t).paper()
	_, resp := r.admit(t, pod("p", "face-recognition", "any", func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: accel.DeviceEnv, Value: strings.Repeat("x", 200<<10)}}
	}))
	if resp.Allowed {
		t.Fatal("it was allowed")
	}
	if n := r.inv.Reservations(); n != 0 {
		t.Errorf("%d reservations are left", n)
	}
}

func TestBrokenProfile(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Profiles.SetInvalid("face-recognition", errors.New("its nodeSelector has no label"))
	}).paper()
	_, resp := r.admit(t, pod("p", "face-recognition", "any"))
	want := `InferenceProfile "face-recognition" cannot be used: its nodeSelector has no label; correct it first`
	if resp.Allowed || resp.Result.Message != want {
		t.Errorf("%+v, want a refusal: %s", resp.Result, want)
	}
}

func TestReservationIsReleased(t *testing.T) {
	r := newRig(t).paper()
	r.admit(t, pod("refused-by-quota", "face-recognition", "any"))
	if p, _ := r.admit(t, pod("next", "face-recognition", "any")); selected(p) != "NPU" {
		t.Errorf("while the GPU is reserved the next pod got %s, want NPU", selected(p))
	}
	*r.now = r.now.Add(31 * time.Second)
	if p, _ := r.admit(t, pod("later", "face-recognition", "any")); selected(p) != "GPU" {
		t.Errorf("after the reservation's 30 s the next pod got %s, want GPU", selected(p))
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"unknown inference": {
			pod("p", "face-recogniton", "any"),
			`there is no InferenceProfile "face-recogniton": did you mean face-recognition? There are face-recognition, text-recognition`,
		},
		"kind without variant": {
			pod("p", "face-recognition", "gpu,tpu"),
			"annotation heteroaccel.io/accelerator names TPU, which inference face-recognition has no variant for: it has CPU, GPU, FPGA, NPU",
		},
		"malformed kinds": {pod("p", "face-recognition", "gpu,,npu"), `"gpu,,npu" is neither "any" nor kinds in order of preference`},
		"empty inference": {pod("p", " ", "any"), "annotation heteroaccel.io/inference is missing or empty"},
		"unknown container": {
			pod("p", "face-recognition", "any", func(p *corev1.Pod) { p.Annotations[accel.ContainerAnnotation] = "web" }),
			`the pod has no container "web"`,
		},
		"node name": {pod("p", "face-recognition", "any", func(p *corev1.Pod) { p.Spec.NodeName = "g" }), "spec.nodeName is already set"},
		"a claim": {
			pod("p", "face-recognition", "any", func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
			}),
			`container "inference" uses the resource claim "gpu", which chooses a device by itself`,
		},
		"a huge node selector": {
			pod("p", "face-recognition", "any", func(p *corev1.Pod) {
				p.Spec.NodeSelector = map[string]string{"a": strings.Repeat("v", 100<<10)}
			}),
			"the pod's nodeSelector, node affinity and tolerations take 100 KiB, and may take 64",
		},
		"several containers": {
			pod("p", "face-recognition", "any", func(p *corev1.Pod) {
				p.Spec.Containers[0].Name, p.Spec.Containers[0].Command = "main", []string{"./app"}
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "log"})
			}),
			"the pod has several containers (main, log)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).paper()
			_, resp := r.admit(t, c.pod)
			if resp.Allowed || resp.Result == nil || !strings.Contains(resp.Result.Message, c.want) {
				t.Fatalf("allowed %t, status %+v, want a refusal with %q", resp.Allowed, resp.Result, c.want)
			}
			if resp.Result.Code != http.StatusBadRequest {
				t.Errorf("code %d, want 400", resp.Result.Code)
			}
			if n := r.inv.Reservations(); n != 0 {
				t.Errorf("a refusal reserved %d", n)
			}
		})
	}
}

// TestWithoutCRD: the webhook answers without the CRD, and whose pod is refused learns
// what is missing and how to install it.
func TestWithoutCRD(t *testing.T) {
	empty := profile.NewStore()
	r := newRig(t, func(c *Config) { c.Profiles = empty }).paper()
	for name, c := range map[string]struct {
		crd  error
		want string
	}{
		"missing":   {profile.ErrNoCRD, `there is no InferenceProfile "face-recognition", nor any other: the CRD inferenceprofiles.heteroaccel.io is not installed: install it with kubectl apply --server-side -k deploy/base/crd`},
		"installed": {nil, `there is no InferenceProfile "face-recognition", nor any other: create one first`},
	} {
		empty.SetCRD(c.crd)
		if _, resp := r.admit(t, pod("p", "face-recognition", "any")); resp.Allowed || resp.Result.Message != c.want {
			t.Errorf("%s: %+v, want a refusal: %s", name, resp.Result, c.want)
		}
		if _, resp := r.admit(t, pod("p", "", "")); name == "missing" && resp.Allowed {
			t.Error("an annotated pod is admitted without its inference")
		}
	}
}

// TestOtherSchedulers: a scheduler that does not ask our extender gets no pods
// of ours, unless it is said that it may, and then they wait for themselves.
func TestOtherSchedulers(t *testing.T) {
	scheduled := func(name, by string) *corev1.Pod {
		return pod(name, "face-recognition", "gpu", func(p *corev1.Pod) { p.Spec.SchedulerName = by })
	}
	only := func(c *Config) { c.Schedulers = []string{"default-scheduler", "edge"} }
	r := newRig(t, only).paper()
	for _, by := range []string{"default-scheduler", "edge", ""} {
		if _, resp := r.admit(t, scheduled("p", by)); !resp.Allowed {
			t.Errorf("%q: %v", by, resp.Result)
		}
	}
	_, resp := r.admit(t, scheduled("p", "volcano"))
	want := `spec.schedulerName is "volcano", and only pods of default-scheduler, edge are placed by device here: remove it, or allow it with the webhook's flag --scheduler-names or --other-schedulers`
	if resp.Allowed || resp.Result.Message != want {
		t.Errorf("%+v, want a refusal: %s", resp.Result, want)
	}
	r = newRig(t, only, func(c *Config) { c.OtherSchedulers = true }).paper()
	if p, resp := r.admit(t, scheduled("p", "volcano")); !resp.Allowed || selected(p) != "GPU" {
		t.Errorf("admitted %v, got %s", resp.Allowed, selected(p))
	}
}
