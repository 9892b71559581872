package check

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/cli/pages"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// TestLate: where the webhook binds pods late it is said of which profiles, and what keeps
// the pods of the others from it.
func TestLate(t *testing.T) {
	const gpuClass, cpuClass = "gpu.example.com", "cpu.example.com"
	for name, test := range map[string]struct {
		binding string
		shown   bool
		classes []string // those with devices
		edit    func(*Cluster)
		check   string
		result  Result
		message string
	}{
		"everything":             {"auto", true, []string{cpuClass, gpuClass}, nil, "late binding", OK, "pods of 1 profile are bound late"},
		"claims are not shown":   {"auto", false, []string{cpuClass, gpuClass}, nil, "late binding", Wrong, "it lacks --resource-claims"},
		"auto, a class is empty": {"auto", true, []string{cpuClass}, nil, "late binding", OK, "pods of 0 profiles are bound late; others are bound early, as no node has devices of " + gpuClass},
		"late, a class is empty": {"late", true, []string{cpuClass}, nil, "late binding", Wrong, "no node has devices of DeviceClass " + gpuClass + ", for which pods of profile late may wait"},
		"the profile says early": {"late", true, nil, func(c *Cluster) { c.Profiles.Value[0].Spec.Binding = "early" }, "late binding", OK, "pods of 0 profiles are bound late"},
		"variants that differ": {"late", true, []string{cpuClass, gpuClass}, func(c *Cluster) { c.Profiles.Value[0].Spec.Variants[1].Args = []string{"--threads=4"} },
			"late binding", Wrong, "are to be bound late, and are bound early: args differs"},
		"auto, variants that differ": {"auto", true, []string{cpuClass, gpuClass}, func(c *Cluster) { c.Profiles.Value[0].Spec.Variants[1].Args = []string{"--threads=4"} },
			"late binding", OK, "pods of 0 profiles are bound late; others are bound early, as these profiles have variants that cannot share a pod: late (args differs"},
		"auto, a class is empty and others differ": {"auto", true, []string{cpuClass}, func(c *Cluster) {
			other := c.Profiles.Value[0].DeepCopy()
			other.Name, other.Spec.Variants[1].DeviceClassName = "half", ""
			c.Profiles.Value = append(c.Profiles.Value, *other)
		}, "late binding", OK, "as no node has devices of " + gpuClass + ", and as these profiles have variants that cannot share a pod: half (the CPU variant names no deviceClassName"},
		"auto, a profile of device plugins": {"auto", true, []string{cpuClass, gpuClass}, func(c *Cluster) {
			c.Profiles.Value = append(c.Profiles.Value, *usable("plugins", gpu))
		}, "late binding", OK, "pods of 1 profile are bound late\n"},
		"no extender": {"late", true, nil, func(c *Cluster) { c.Replicas.Value = nil }, "late binding", NotChecked, "could not be read"},
		"nothing for kube-scheduler to ask about": {"auto", true, []string{cpuClass, gpuClass}, nil, "scheduler", OK, "it need not ask the extender"},
		"the canary was bound late": {"auto", true, []string{cpuClass, gpuClass}, func(c *Cluster) {
			c.Nodes.Value, c.Canary = []corev1.Node{*node("g", gpu)}, Canary{Late: true}
		}, "scheduler", OK, "it need not ask the extender"},
		"devices of device plugins too, all held": {"auto", true, []string{cpuClass, gpuClass}, func(c *Cluster) {
			c.Nodes.Value = []corev1.Node{*node("g", gpu)}
		}, "scheduler", NotChecked, "no device is free"},
	} {
		t.Run(name, func(t *testing.T) {
			c := sound(t)
			for program, arg := range map[string]string{Webhook: "--binding=" + test.binding, Extender: fmt.Sprintf("--resource-claims=%t", test.shown)} {
				p := c.Programs[program]
				p.Value.Args = []string{arg}
				c.Programs[program] = p
			}
			late := usable("late")
			late.Spec.Variants = []v1alpha1.Variant{
				{Accelerator: "GPU", Image: "x:gpu", DeviceClassName: gpuClass},
				{Accelerator: "CPU", Image: "x:cpu", DeviceClassName: cpuClass, Limits: map[corev1.ResourceName]v1alpha1.Amount{corev1.ResourceCPU: resource.MustParse("1")}},
			}
			c.Profiles.Value = []v1alpha1.InferenceProfile{*late}
			c.Nodes.Value, c.Canary = []corev1.Node{*node("g")}, Canary{NothingFree: true}
			var have []string
			for _, class := range test.classes {
				have = append(have, fmt.Sprintf(`{"resource":"deviceclass.resource.kubernetes.io/%s","usable":1}`, class))
			}
			c.Replicas.Value[0].Nodes = []pages.Node{page(t, `{"name":"g","telemetry":{"ageSeconds":2,"fresh":true},"resources":[`+strings.Join(have, ",")+`]}`)}
			if test.edit != nil {
				test.edit(c)
			}
			for _, l := range Run(c) {
				if l.Check != test.check {
					continue
				}
				if l.Result != test.result || !strings.Contains(l.Message+"\n", test.message) {
					t.Errorf("%s: %s: %s, want %s: %s", l.Check, l.Result, l.Message, test.result, test.message)
				}
				return
			}
			t.Errorf("there is no line %q", test.check)
		})
	}
	for _, l := range Run(sound(t)) {
		if l.Check == "late binding" {
			t.Errorf("where pods are bound early it says %q", l.Message)
		}
	}
}
