package gather

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/cli/pages"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// TestCandidates: the canary asks for what is free on a node that takes any pod, and is in a
// profile.
func TestCandidates(t *testing.T) {
	profiles := []v1alpha1.InferenceProfile{{
		ObjectMeta: metav1.ObjectMeta{Name: "face"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
			{Accelerator: "CPU", Limits: map[corev1.ResourceName]v1alpha1.Amount{"cpu": resource.MustParse("1")}},
			{Accelerator: "NPU", Limits: map[corev1.ResourceName]v1alpha1.Amount{"npu.intel.com/accel": resource.MustParse("1")}},
		}},
	}}
	for name, tt := range map[string]struct{ node, resource string }{
		"free":               {`{"resources":[{"resource":"npu.intel.com/accel","usable":1}]}`, "npu.intel.com/accel"},
		"held":               {`{"resources":[{"resource":"npu.intel.com/accel","usable":0}]}`, ""},
		"in no profile":      {`{"resources":[{"resource":"nvidia.com/gpu","usable":1}]}`, ""},
		"on a cordoned node": {`{"cordoned":true,"resources":[{"resource":"npu.intel.com/accel","usable":1}]}`, ""},
		"on a tainted node":  {`{"taints":["a:NoSchedule"],"resources":[{"resource":"npu.intel.com/accel","usable":1}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var n pages.Node
			if err := yaml.Unmarshal([]byte(tt.node), &n); err != nil {
				t.Fatal(err)
			}
			c := &check.Cluster{Profiles: check.Read(profiles, nil), Replicas: check.Read([]pages.Replica{{Nodes: []pages.Node{n}}}, nil)}
			var want []candidate
			if tt.resource != "" {
				want = []candidate{{"face", "NPU", tt.resource}}
			}
			if got := candidates(c); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	if got := candidates(&check.Cluster{}); len(got) > 0 {
		t.Error(got)
	}
}

// TestPodSecurity: the canary may be created in a namespace of the level restricted.
func TestPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := pod("default", "face", "any")
	for _, result := range evaluator.EvaluatePod(psa.LevelVersion{Level: psa.LevelRestricted, Version: psa.LatestVersion()}, &p.ObjectMeta, &p.Spec) {
		if !result.Allowed {
			t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
}
