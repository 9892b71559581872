package mutate

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

func TestFindTarget(t *testing.T) {
	pod := &Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "fetch"}, {Name: "compile"}},
		Containers:     []corev1.Container{{Name: "camera"}, {Name: "inference"}, {Name: "log"}},
	}}
	const nothing = "the pod has several containers (camera, inference, log, fetch, compile), and nothing says which of them runs the inference: name it in annotation heteroaccel.io/container"
	cases := map[string]struct {
		requested, recorded, profile, annotation string
		want                                     Target
		err                                      string
	}{
		"requested":                      {requested: "log", recorded: "camera", profile: "inference", want: Target{Index: 2}},
		"requested, an init container":   {requested: "compile", want: Target{Init: true, Index: 1}},
		"recorded":                       {recorded: "log", profile: "inference", want: Target{Index: 2}},
		"recorded, gone":                 {recorded: "nobody", profile: "inference", want: Target{Index: 1}},
		"profile's":                      {profile: "inference", want: Target{Index: 1}},
		"profile's, an init container":   {profile: "fetch", want: Target{Init: true, Index: 0}},
		"kubectl's":                      {annotation: "log", want: Target{Index: 2}},
		"kubectl's, after the profile's": {annotation: "log", profile: "inference", want: Target{Index: 1}},
		"kubectl's, after the record's":  {annotation: "log", recorded: "camera", want: Target{Index: 0}},
		"kubectl's, which the pod lacks": {annotation: "nobody", profile: "inference", want: Target{Index: 1}},
		"profile's, which the pod lacks": {profile: "nobody", err: nothing},
		"nothing":                        {err: nothing},
		"kubectl's, gone":                {annotation: "nobody", err: nothing},
		"requested, which the pod lacks": {requested: "nobody", profile: "inference",
			err: `annotation heteroaccel.io/container: the pod has no container "nobody": name one of camera, inference, log, fetch, compile`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := *pod
			p.Recorded = c.recorded
			p.Metadata.Annotations = map[string]string{"kubectl.kubernetes.io/default-container": c.annotation}
			got, err := FindTarget(&p, accel.Request{Container: c.requested}, &profile.Profile{Container: c.profile}, nil)
			if err != nil || c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("error is %v, want %s", err, c.err)
				}
				return
			}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	if _, err := FindTarget(&Pod{}, accel.Request{}, &profile.Profile{}, nil); err == nil {
		t.Error("no containers, and no error")
	}
	crowd := &Pod{Spec: corev1.PodSpec{Containers: slices.Repeat([]corev1.Container{{Name: "c"}}, 1000)}}
	if _, err := FindTarget(crowd, accel.Request{Container: "x"}, &profile.Profile{}, nil); len(err.Error()) > 300 {
		t.Errorf("a sentence of %d bytes", len(err.Error()))
	}
}

// TestFindEvidentTarget: no name says which container it is.
func TestFindEvidentTarget(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	with := func(name string, words ...string) corev1.Container { return corev1.Container{Name: name, Args: words} }
	device := func(name, resource string) corev1.Container {
		return corev1.Container{Name: name, Resources: corev1.ResourceRequirements{Limits: amountsOf(resource + "=1")}}
	}
	sidecar := func(c corev1.Container) corev1.Container { c.RestartPolicy = &always; return c }
	cases := map[string]struct {
		containers, init []corev1.Container
		want             Target
		err              string // part of it
	}{
		"the only one":             {containers: []corev1.Container{with("a")}},
		"beside an init container": {containers: []corev1.Container{with("a")}, init: []corev1.Container{with("i", "-d", "GPU")}},
		"beside a sidecar":         {containers: []corev1.Container{with("a")}, init: []corev1.Container{sidecar(with("proxy"))}},
		"a flag":                   {containers: []corev1.Container{with("a"), with("b", "-d", "GPU")}, want: Target{Index: 1}},
		"a flag within a script":   {containers: []corev1.Container{with("a"), with("b", "sh -c 'x -d=GPU'")}, want: Target{Index: 1}},
		"a flag, any":              {containers: []corev1.Container{with("a"), with("b", "--target_device=any")}, want: Target{Index: 1}},
		"our variable":             {containers: []corev1.Container{with("a"), with("b", "--dev", "$(HETEROACCEL_DEVICE)")}, want: Target{Index: 1}},
		"an accelerator":           {containers: []corev1.Container{with("a"), device("b", "nvidia.com/gpu")}, want: Target{Index: 1}},
		"a sidecar with a flag":    {containers: []corev1.Container{with("a")}, init: []corev1.Container{sidecar(with("s", "-d", "GPU"))}, want: Target{Init: true}},
		"a sidecar with an accelerator": {containers: []corev1.Container{with("a"), with("b")},
			init: []corev1.Container{with("i"), sidecar(device("s", "nvidia.com/gpu"))}, want: Target{Init: true, Index: 1}},
		"another program's flag":  {containers: []corev1.Container{with("a", "-d", "/data"), with("b")}, err: "several containers (a, b), and nothing says"},
		"a variable for a device": {containers: []corev1.Container{with("a", "-d", "$DEV"), with("b")}, err: "nothing says which"},
		"an unknown resource":     {containers: []corev1.Container{with("a"), device("b", "example.com/dongle")}, err: "nothing says which"},
		"two flags":               {containers: []corev1.Container{with("a", "-d", "GPU"), with("b", "-d", "CPU"), with("c")}, err: "have a device flag or an accelerator (a, b): name the one"},
		"a flag and an accelerator": {containers: []corev1.Container{with("a", "-d", "GPU"), device("b", "nvidia.com/gpu")},
			err: "have a device flag or an accelerator (a, b): name the one"},
		"a container and a sidecar": {containers: []corev1.Container{with("a", "-d", "GPU")}, init: []corev1.Container{sidecar(with("s", "-d", "GPU"))},
			err: "have a device flag or an accelerator (a, s): name the one"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pod := &Pod{Spec: corev1.PodSpec{Containers: c.containers, InitContainers: c.init}}
			before := encode(t, pod)
			got, err := FindTarget(pod, accel.Request{}, testProfile(t), knownResource)
			switch {
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("got %+v, error %v, want one with %q", got, err, c.err)
			case c.err == "" && (err != nil || got != c.want):
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
			if encode(t, pod) != before {
				t.Error("the pod was changed")
			}
		})
	}
	crowd := &Pod{Spec: corev1.PodSpec{Containers: slices.Repeat([]corev1.Container{with("c", "-d", "GPU")}, 1000)}}
	if _, err := FindTarget(crowd, accel.Request{}, testProfile(t), nil); len(err.Error()) > 300 {
		t.Errorf("a sentence of %d bytes", len(err.Error()))
	}
}

// TestCheckClaims: who has a claim has chosen a device.
func TestCheckClaims(t *testing.T) {
	claim := []corev1.ResourceClaim{{Name: "gpu"}}
	for name, c := range map[string]struct {
		change func(*Pod)
		want   bool // refused
	}{
		"its own":            {func(p *Pod) { p.Spec.Containers[0].Resources.Claims = claim }, true},
		"the whole pod's":    {func(p *Pod) { p.Spec.Resources = &corev1.ResourceRequirements{Claims: claim} }, true},
		"another's":          {func(p *Pod) { p.Spec.Containers[1].Resources.Claims = claim }, false},
		"declared, not used": {func(p *Pod) { p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "gpu"}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := asked(corev1.Container{})
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "log"})
			c.change(pod)
			if err := Check(pod, Target{}); (err != nil) != c.want {
				t.Errorf("error %v, want one: %v", err, c.want)
			}
		})
	}
}
