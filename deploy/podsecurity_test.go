package deploy_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// installations are the overlays that have every workload of ours among them.
var installations = []string{"prometheus", "testdata/cert-manager", "testdata/connector-node", "testdata/extender-tls", "testdata/external-use", "testdata/device-driver"}

// TestPodSecurity: every namespace that we create says what its pods may do, and
// ours pass it.
func TestPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]psa.Level{"heteroaccel-system": psa.LevelRestricted, "heteroaccel-exporter": psa.LevelPrivileged, "heteroaccel-sessions": psa.LevelBaseline}
	for _, dir := range installations {
		t.Run(dir, func(t *testing.T) {
			levels, pods := map[string]psa.LevelVersion{}, 0
			objects := decode(t, render(t, dir))
			for _, obj := range objects {
				if ns, ok := obj.(*corev1.Namespace); ok {
					p, errs := psa.PolicyToEvaluate(ns.Labels, psa.Policy{})
					if levels[ns.Name] = p.Enforce; len(errs) > 0 || p.Enforce.Level != want[ns.Name] {
						t.Errorf("namespace %s enforces %q, want %q: %v", ns.Name, p.Enforce.Level, want[ns.Name], errs)
					}
				}
			}
			check := func(meta metav1.ObjectMeta, template corev1.PodTemplateSpec) {
				pods++
				level, ok := levels[meta.Namespace]
				if !ok {
					t.Errorf("%s is in %s, which we do not create", meta.Name, meta.Namespace)
				}
				if r := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec)); !r.Allowed {
					t.Errorf("%s in %s: %s", meta.Name, meta.Namespace, r.ForbiddenDetail())
				}
			}
			for _, obj := range objects {
				switch o := obj.(type) {
				case *appsv1.Deployment:
					check(o.ObjectMeta, o.Spec.Template)
				case *appsv1.DaemonSet:
					check(o.ObjectMeta, o.Spec.Template)
				}
			}
			if pods < 3 {
				t.Errorf("only %d workloads were looked at", pods)
			}
		})
	}
}

// TestRegistrationLeavesOutOurs: the webhook is asked about no pod of a namespace
// that its own start may wait for.
func TestRegistrationLeavesOutOurs(t *testing.T) {
	registration := string(read(t, "base/webhook/registration.yaml"))
	for _, obj := range decode(t, render(t, "base")) {
		if ns, ok := obj.(*corev1.Namespace); ok && !strings.Contains(registration, ns.Name+"]") && !strings.Contains(registration, ns.Name+",") {
			t.Errorf("it is asked about pods in %s", ns.Name)
		}
	}
}
