package server

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/admission"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/namespaces"
	"heteroaccel.io/pkg/profile"
)

// ruled is a rig with the paper's nodes, whose GPU variant mounts /dev/dri, in
// a cluster with rules.
func ruled(t *testing.T, rules *admission.Store) *rig {
	t.Helper()
	spec := paperProfile("face-recognition")
	for i := range spec.Spec.Variants {
		if v := &spec.Spec.Variants[i]; v.Accelerator == "GPU" {
			v.Volumes = []corev1.Volume{{Name: "dri", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/dev/dri"}}}}
			v.VolumeMounts = []corev1.VolumeMount{{Name: "dri", MountPath: "/dev/dri"}}
		}
	}
	p, err := profile.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, func(c *Config) { c.Rules = rules; c.Profiles.Set(p) }).paper()
}

func mostCores(namespace, name, cores string) *admission.LimitRange {
	most := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cores)}
	return admission.LimitRangeOf(&corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Max: most, Default: most, DefaultRequest: most,
		}}},
	})
}

// TestRules asks for kinds that the rules of the pod's namespace do not all
// allow.
func TestRules(t *testing.T) {
	baseline := map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}
	for name, c := range map[string]struct {
		rule   func(*admission.Store)
		kinds  string
		want   string
		reason string // part of it
	}{
		"none":                         {func(*admission.Store) {}, "any", "GPU", "GPU is free"},
		"pod security":                 {func(s *admission.Store) { s.SetNamespace("default", baseline) }, "any", "NPU", `no GPU (PodSecurity "baseline:latest": hostPath volumes (volume "dri"))`},
		"of another namespace":         {func(s *admission.Store) { s.SetNamespace("other", baseline) }, "any", "GPU", "GPU is free"},
		"LimitRange":                   {func(s *admission.Store) { s.SetLimitRange(mostCores("default", "everybody", "1")) }, "cpu,npu", "NPU", "no CPU (LimitRange everybody: maximum cpu usage per Container is 1, but limit is 2)"},
		"LimitRange with room":         {func(s *admission.Store) { s.SetLimitRange(mostCores("default", "everybody", "2")) }, "cpu", "CPU", "CPU is free"},
		"of nothing that the pod asks": {func(s *admission.Store) { s.SetLimitRange(mostCores("default", "everybody", "1")) }, "gpu", "GPU", "GPU is free"},
	} {
		t.Run(name, func(t *testing.T) {
			rules := admission.NewStore()
			c.rule(rules)
			p, resp := ruled(t, rules).admit(t, pod("p", "face-recognition", c.kinds))
			reason := p.Annotations[accel.ReasonAnnotation]
			if selected(p) != c.want || !strings.Contains(reason, c.reason) {
				t.Errorf("got %s: %s; want %s, and in it %q", selected(p), reason, c.want, c.reason)
			}
			if len(resp.Warnings) > 0 {
				t.Errorf("warned of %q", resp.Warnings)
			}
		})
	}
}

// TestRulesOutrankIdle: the kind that is barred is idle, the others are not: the
// pod waits for one of them rather than be refused.
func TestRulesOutrankIdle(t *testing.T) {
	rules := admission.NewStore()
	rules.SetLimitRange(mostCores("default", "everybody", "1"))
	r := ruled(t, rules)
	for _, kind := range []string{"gpu", "npu", "fpga"} {
		held, _ := r.admit(t, pod(kind, "face-recognition", kind))
		r.arrives(held, map[string]string{"gpu": "g", "npu": "n", "fpga": "f"}[kind])
	}
	p, _ := r.admit(t, pod("p", "face-recognition", "any"))
	if reason := p.Annotations[accel.ReasonAnnotation]; selected(p) == "CPU" || !strings.Contains(reason, "no CPU (LimitRange everybody: ") {
		t.Errorf("got %s: %s", selected(p), reason)
	}
}

// TestEveryKindBarred: the pod gets a kind all the same, unreserved, so that
// the API server says no in its own words; ours come as a warning.
func TestEveryKindBarred(t *testing.T) {
	rules := admission.NewStore()
	rules.SetLimitRange(mostCores("default", "everybody", "1"))
	r := ruled(t, rules)
	p, resp := r.admit(t, pod("p", "face-recognition", "cpu"))
	const want = "no kind is left to it: no CPU (LimitRange everybody: maximum cpu usage per Container is 1, but limit is 2)"
	if selected(p) != "CPU" || len(resp.Warnings) != 1 || resp.Warnings[0] != want {
		t.Errorf("got %s, warned of %q", selected(p), resp.Warnings)
	}
	if n := r.inv.Reservations(); n != 0 {
		t.Errorf("%d reservations for a pod that does not come", n)
	}
	rules.DeleteLimitRange("default", "everybody")
	if p, resp := r.admit(t, pod("q", "face-recognition", "cpu")); selected(p) != "CPU" || len(resp.Warnings) > 0 {
		t.Errorf("once the rule is gone: got %s, warned of %q", selected(p), resp.Warnings)
	}
}

// TestNamespaceChooses: a namespace gets the inferences that it allows, of the
// profiles that are for it; what is refused reserves nothing.
func TestNamespaceChooses(t *testing.T) {
	spaces := namespaces.NewStore()
	for name, allowed := range map[string]string{"faces": "face-recognition", "texts": "text-recognition"} {
		spaces.Set(namespaces.Of(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{namespaces.AllowedAnnotation: allowed}}}))
	}
	r := newRig(t, func(c *Config) { c.Namespaces = spaces }).paper()
	for namespace, want := range map[string]string{
		"faces": "", "default": "",
		"texts": "namespace texts does not allow inference face-recognition, but text-recognition: ask for one of these, or whoever may change the namespace adds it to its annotation heteroaccel.io/allowed-inferences",
	} {
		before := r.inv.Reservations()
		_, resp := r.admit(t, pod("p", "face-recognition", "any", func(p *corev1.Pod) { p.Namespace = namespace }), func(q *admissionv1.AdmissionRequest) { q.Namespace = namespace })
		switch {
		case want == "" && !resp.Allowed:
			t.Errorf("%s: refused: %s", namespace, resp.Result.Message)
		case want != "" && (resp.Allowed || resp.Result.Message != want):
			t.Errorf("%s: got %+v, want %s", namespace, resp.Result, want)
		case want != "" && r.inv.Reservations() != before:
			t.Errorf("%s: a refused pod has a reservation", namespace)
		}
	}
}

// TestBoundVolume: a pod whose claim is bound to a volume of node n gets what
// that node has, although the GPU is better.
func TestBoundVolume(t *testing.T) {
	r := ruled(t, nil)
	mounts := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
		}}}
	}
	r.inv.SetVolume(inventory.VolumeOf(&corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-n"},
		Spec: corev1.PersistentVolumeSpec{NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "kubernetes.io/hostname", Operator: corev1.NodeSelectorOpIn, Values: []string{"n"}},
			}}},
		}}},
	}))
	if p, _ := r.admit(t, pod("unbound", "face-recognition", "any", mounts)); selected(p) != "GPU" {
		t.Errorf("while the claim is not bound: got %s, want GPU", selected(p))
	}
	r.inv.SetVolumeClaim("default", "data", "pv-n")
	p, _ := r.admit(t, pod("bound", "face-recognition", "any", mounts))
	if selected(p) != "NPU" {
		t.Errorf("got %s, want NPU: %s", selected(p), p.Annotations[accel.ReasonAnnotation])
	}
	if p, _ := r.admit(t, pod("other", "face-recognition", "gpu", mounts)); !strings.Contains(p.Annotations[accel.ReasonAnnotation], "no node could take this pod") {
		t.Errorf("the reason is %q", p.Annotations[accel.ReasonAnnotation])
	}
}
