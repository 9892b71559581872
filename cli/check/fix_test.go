package check

import (
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestInstall: what is missing is put back by what installed the rest: a release of Helm
// is not installed a second time beside it, and an overlay's image is kept.
func TestInstall(t *testing.T) {
	release := map[string]string{"meta.helm.sh/release-name": "ours", "meta.helm.sh/release-namespace": "accel"}
	const helm, kustomize = "helm upgrade ours deploy/helm/heteroaccel -n accel --reuse-values", "kubectl apply --server-side -k OVERLAY"
	gone := func(c *Cluster) {
		for name := range c.Programs {
			c.Programs[name] = Fact[Workload]{Err: errMissing}
		}
	}
	for name, tt := range map[string]struct {
		annotations map[string]string
		change      func(*Cluster)
		want        string
	}{
		"Helm":                      {release, func(*Cluster) {}, helm},
		"kustomize":                 {nil, func(*Cluster) {}, kustomize},
		"Helm, workloads gone":      {release, gone, helm},
		"kustomize, workloads gone": {nil, gone, kustomize},
		"Helm, registration gone":   {release, func(c *Cluster) { gone(c); c.Registration.Err = errMissing }, helm},
		"Helm, CRD alone":           {release, func(c *Cluster) { gone(c); c.Registration.Err, c.Policy.Err = errMissing, errMissing }, helm},
		"kustomize, CRD of Helm":    {nil, func(c *Cluster) { c.CRD.Value.Annotations = release }, kustomize},
		"nothing": {release, func(c *Cluster) {
			gone(c)
			c.CRD.Err, c.Registration.Err, c.Policy.Err = errMissing, errMissing, errMissing
		}, kustomize},
	} {
		t.Run(name, func(t *testing.T) {
			c := sound(t)
			annotate(c, tt.annotations)
			tt.change(c)
			if got := c.install(); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// annotate annotates everything, as Helm does.
func annotate(c *Cluster, annotations map[string]string) {
	for name, p := range c.Programs {
		p.Value.Annotations = annotations
		c.Programs[name] = p
	}
	c.Registration.Value.Annotations, c.Policy.Value.Annotations = annotations, annotations
	c.CRD.Value.Annotations = maps.Clone(annotations)
}

// TestFixes: whatever is missing of a release of Helm, no command installs the manifests
// beside it.
func TestFixes(t *testing.T) {
	for name, change := range map[string]func(*Cluster){
		"CRD":          func(c *Cluster) { c.CRD.Err = errMissing },
		"older CRD":    olderCRD,
		"profiles":     func(c *Cluster) { c.Profiles.Err = errMissing },
		"registration": func(c *Cluster) { c.Registration.Err = errMissing },
		"webhook":      func(c *Cluster) { c.Programs[Webhook] = Fact[Workload]{Err: errMissing} },
		"Service":      func(c *Cluster) { c.Ready[Extender] = Fact[int]{Err: errMissing} },
		"exporters":    func(c *Cluster) { c.Programs[Exporter] = Fact[Workload]{Err: errMissing} },
		"policy":       func(c *Cluster) { c.Policy.Err = errMissing },
		"binding":      func(c *Cluster) { c.Binding.Err = errMissing },
		"right":        func(c *Cluster) { c.Rights.Value[0].Allowed = false },
		"versions":     func(c *Cluster) { c.Version = "v0.3.0" },
		"admission":    func(c *Cluster) { c.Mutated = Read(&corev1.Pod{}, nil) },
		"refusal":      func(c *Cluster) { c.Unknown.Err = errBackstop },
	} {
		t.Run(name, func(t *testing.T) {
			c := sound(t)
			annotate(c, map[string]string{"meta.helm.sh/release-name": "ours", "meta.helm.sh/release-namespace": "accel"})
			change(c)
			fixed := false
			for _, l := range Run(c) {
				fixed = fixed || strings.HasPrefix(l.Fix, "helm upgrade ours ")
				if strings.Contains(l.Fix, "-k deploy/base") || strings.Contains(l.Fix, "OVERLAY") {
					t.Errorf("%s: %s", l.Check, l.Fix)
				}
			}
			if !fixed {
				t.Errorf("no line upgrades the release: %+v", Run(c))
			}
		})
	}
}

// TestConfigure: the command can be pasted, and is for this installation.
func TestConfigure(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"HTTP":  {nil, "heteroaccel scheduler-config --system-namespace ours --for DISTRIBUTION"},
		"HTTPS": {[]string{"--tls-cert-file=/certs/tls.crt"}, "heteroaccel scheduler-config --system-namespace ours --for DISTRIBUTION --mtls"},
	} {
		t.Run(name, func(t *testing.T) {
			c := sound(t)
			c.System = "ours"
			c.Canary.Answers[0].Asked = "no"
			c.Programs[Extender] = Read(Workload{Image: c.Programs[Extender].Value.Image, Args: tt.args}, nil)
			for _, l := range Run(c) {
				if l.Result == Wrong && l.Fix != tt.want {
					t.Errorf("%s: %s, want %s", l.Check, l.Fix, tt.want)
				}
			}
			if !Failed(Run(c)) {
				t.Error("nothing is wrong")
			}
		})
	}
}
