package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// probesAnswer asks every probe of the manifests of the program it is for: a
// path that is not there would keep the pods from ever being ready.
func probesAnswer(t *testing.T, s *stack.Stack) {
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := s.Kubectl(t.Context(), "kustomize", filepath.Join(root, "deploy", "base"))
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{"webhook": "webhook status", "extender": "extender status", "exporter": "exporter-g"}
	probes := 0
	for _, doc := range strings.Split(rendered, "\n---\n") {
		// Deployments and DaemonSets alike have their template here.
		var workload appsv1.Deployment
		if err := yaml.Unmarshal([]byte(doc), &workload); err != nil || len(workload.Spec.Template.Spec.Containers) == 0 {
			continue
		}
		for _, c := range workload.Spec.Template.Spec.Containers {
			for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
				if p == nil {
					continue
				}
				probes++
				if _, err := stack.Get(t.Context(), s.URL(at[c.Name], p.HTTPGet.Path)); err != nil {
					t.Errorf("%s %s: %v", c.Name, p.HTTPGet.Path, err)
				}
			}
		}
	}
	if probes != 6 {
		t.Errorf("found %d probes, want a liveness and a readiness probe for each of three programs", probes)
	}
}
