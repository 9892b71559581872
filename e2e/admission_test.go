package e2e

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestAdmission is what happens to pods when they are created, while nothing
// is broken.
func TestAdmission(t *testing.T) {
	runShared(t, borrow(t, paper), []shared{
		{"dry run", dryRun},
		{"refusals", refusals},
		{"misplaced", misplaced},
		{"untouched", untouched},
		{"node selector", nodeSelector},
		{"taint", taint},
		{"cordon", cordon},
		{"owners", owners},
		{"finishing", finishing},
		{"forged annotations", forged},
		{"copied pod", copied},
		{"reservation of another namespace", foreignReservation},
		{"asked twice", askedTwice},
		{"bad requests", badRequests},
		{"profiles refused", profilesRefused},
		{"profiles accepted", profilesAccepted},
		{"profiles explained", profilesExplained},
		{"profiles listed", profilesListed},
		{"profiles usable", profilesUsable},
		{"metrics documented", metricsDocumented},
		{"onlookers", onlookers},
	})
}

// dryRun: kubectl shows what a pod would become, and nothing is reserved.
func dryRun(t *testing.T, s *stack.Stack) {
	p := anyPod("dry", "face-recognition", "any")
	said, err := s.KubectlInput(t.Context(), manifest(t, p), "create", "--dry-run=server", "-o", "json", "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	var dry corev1.Pod
	if err := json.Unmarshal([]byte(said), &dry); err != nil {
		t.Fatalf("%v in:\n%s", err, said)
	}
	if err := reserved(t.Context(), s, 0); err != nil {
		t.Errorf("after a dry run %v", err)
	}
	after := create(t, s, p)
	for name, p := range map[string]*corev1.Pod{"the dry run": &dry, "the pod after it": after} {
		if kind(p) != "GPU" {
			t.Errorf("%s got %s, want the idle GPU: %s", name, kind(p), reason(p))
		}
		c := p.Spec.Containers[0]
		if c.Image != "heteroaccel/face-recognition:gpu" || c.Command[2] != "./run -d GPU && sleep 60" || devices(p)["gpu.intel.com/i915"] != 1 {
			t.Errorf("%s was not mutated: %s %q %v", name, c.Image, c.Command, c.Resources)
		}
	}
	if dry.Annotations[accel.ReservationAnnotation] == after.Annotations[accel.ReservationAnnotation] {
		t.Error("the dry run and the pod carry the same reservation")
	}
}

// refusals: kubectl prints the sentence that says what to do.
func refusals(t *testing.T, s *stack.Stack) {
	face := func(kinds string, options ...podOption) *corev1.Pod {
		return anyPod("refused", "face-recognition", kinds, options...)
	}
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"unknown inference": {
			anyPod("refused", "gait-analysis", "any"),
			`there is no InferenceProfile "gait-analysis": there are action-recognition, face-recognition, object-detection, text-recognition`,
		},
		"misspelt inference": {
			anyPod("refused", "face-recogniton", "any"),
			`there is no InferenceProfile "face-recogniton": did you mean face-recognition?`,
		},
		"no inference": {
			face("any", withAnnotation(accel.InferenceAnnotation, "")),
			"annotation heteroaccel.io/inference is missing or empty: set it to the name of an InferenceProfile",
		},
		"no name of a profile": {
			anyPod("refused", "Face Recognition", "any"),
			`annotation heteroaccel.io/inference: "Face Recognition" is not the name of an InferenceProfile: use lower-case letters, digits, '-' and '.'`,
		},
		"a name of 200 KiB": {
			anyPod("refused", strings.Repeat("x", 200<<10), "any"),
			`annotation heteroaccel.io/inference: "` + strings.Repeat("x", 60) + `…" is not the name of an InferenceProfile`,
		},
		"kind without a variant": {
			face("gpu,tpu"),
			"annotation heteroaccel.io/accelerator names TPU, which inference face-recognition has no variant for: it has GPU, NPU, FPGA, CPU",
		},
		"no kinds": {
			face(""),
			`annotation heteroaccel.io/accelerator: "" is neither "any" nor kinds in order of preference, such as "gpu,npu"`,
		},
		"kinds without commas": {
			face("gpu npu"),
			`annotation heteroaccel.io/accelerator: "gpu npu" is neither "any" nor kinds in order of preference, such as "gpu,npu"`,
		},
		"any and kinds": {
			face("any,gpu"),
			`annotation heteroaccel.io/accelerator: "any,gpu" mixes "any" with kinds: write one or the other`,
		},
		"a kind twice": {
			face("gpu,npu,GPU"),
			`annotation heteroaccel.io/accelerator: "gpu,npu,GPU" names GPU twice: name each kind once`,
		},
		"container not there": {
			face("any", withAnnotation(accel.ContainerAnnotation, "camera")),
			`annotation heteroaccel.io/container: the pod has no container "camera": name one of inference`,
		},
		"no name of a container": {
			face("any", withAnnotation(accel.ContainerAnnotation, "The Camera")),
			`annotation heteroaccel.io/container: "The Camera" is not the name of a container`,
		},
		"node set": {
			face("any", func(p *corev1.Pod) { p.Spec.NodeName = "g" }),
			`spec.nodeName is already set to "g": remove it, so that the scheduler can choose a node that has the accelerator`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := s.KubectlInput(t.Context(), manifest(t, tc.pod), "create", "-f", "-")
			if err == nil {
				t.Fatalf("the pod was created: %s", said)
			}
			if want := `admission webhook "pods.heteroaccel.io" denied the request: ` + tc.want; !strings.Contains(said, want) {
				t.Errorf("kubectl says\n%s\nwant\n%s", said, want)
			}
			if err := reserved(t.Context(), s, 0); err != nil {
				t.Errorf("after a refusal %v", err)
			}
		})
	}
}

// untouched: pods that did not ask for us, or that are Kubernetes' own, come
// out as they went in; the bare keys count when both stand together.
func untouched(t *testing.T, s *stack.Stack) {
	takesPods(t, s, "kube-system")
	bare := func(keys ...string) podOption {
		return func(p *corev1.Pod) {
			values := map[string]string{"inference": "face-recognition", "accelerator": "any"}
			maps.DeleteFunc(values, func(k, _ string) bool { return !slices.Contains(keys, k) })
			p.Annotations = values
		}
	}
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want string // kind, "" for untouched
	}{
		"kube-system":    {anyPod("system", "face-recognition", "any", inNamespace("kube-system")), ""},
		"no annotations": {plainPod("plain"), ""},
		"one bare key":   {plainPod("inference", bare("inference")), ""},
		"the other":      {plainPod("accelerator", bare("accelerator")), ""},
		"both bare keys": {plainPod("both", bare("inference", "accelerator")), "GPU"},
	} {
		t.Run(name, func(t *testing.T) {
			p := create(t, s, tc.pod)
			wantKind(t, p, tc.want)
			if tc.want != "" {
				return
			}
			for _, a := range ours {
				if v, ok := p.Annotations[a]; ok {
					t.Errorf("annotation %s was written: %s", a, v)
				}
			}
			got, was := p.Spec.Containers[0], tc.pod.Spec.Containers[0]
			if got.Image != was.Image || !slices.Equal(got.Command, was.Command) || len(got.Env)+len(got.Resources.Limits) > 0 {
				t.Errorf("the container was mutated: %s %q %v %v", got.Image, got.Command, got.Env, got.Resources)
			}
		})
	}
}
