package gather

import (
	"context"
	"strings"
	"testing"

	"heteroaccel.io/cli/check"
)

// TestWhole: what is read over the wire of an installation in order is judged OK, and
// what was changed of it is named. The pod that was placed is gone each time.
func TestWhole(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*api, *Gatherer)
		check  string
		result check.Result
		says   string
		pods   int
	}{
		"sound":               {func(*api, *Gatherer) {}, "scheduler", check.OK, "what it says", 1},
		"not asked":           {func(a *api, _ *Gatherer) { a.asked = "no" }, "scheduler", check.Wrong, "without asking the extender", 1},
		"not placed":          {func(a *api, _ *Gatherer) { a.place = "" }, "scheduler", check.NotChecked, "0/1 nodes", 1},
		"no canary":           {func(_ *api, g *Gatherer) { g.Canary = false }, "scheduler", check.NotChecked, "--canary=false", 0},
		"no right for pods":   {func(a *api, _ *Gatherer) { a.forbidden["/api/v1/nodes"] = true }, "exporters", check.NotChecked, "you may not list nodes", 1},
		"registration absent": {remove("mutatingwebhookconfigurations/heteroaccel"), "registration", check.Wrong, "is not registered", 1},
		"profiles not served": {remove("v1alpha1/inferenceprofiles"), "profiles", check.Wrong, "serves no InferenceProfiles", 0},
		"extender absent":     {remove("deployments/heteroaccel-extender"), "extender", check.Wrong, "Deployment heteroaccel-extender is missing", 1},
		"of others first":     {othersFirst, "scheduler", check.OK, "what it says", 1},
		"of others alone":     {othersAlone, "scheduler", check.NotChecked, "no pod can be admitted", 0},
		"late ones first":     {lateFirst, "scheduler", check.OK, "what it says", 1},
		"late ones alone":     {lateAlone, "scheduler", check.OK, "it need not ask the extender", 0},
		"Helm":                {helm, "backstop", check.Wrong, "is missing", 1},
		"rights unreadable": {func(a *api, _ *Gatherer) {
			a.forbidden["/apis/authorization.k8s.io/v1/subjectaccessreviews"] = true
		}, "rights", check.NotChecked, "you may not", 1},
	} {
		t.Run(name, func(t *testing.T) {
			a, g := installed(t)
			tt.change(a, g)
			lines := check.Run(g.Gather(t.Context()))
			found := false
			for _, l := range lines {
				found = found || l.Check == tt.check && l.Result == tt.result && strings.Contains(l.Message, tt.says)
				if name == "Helm" && l.Check == "backstop" && l.Fix != "helm upgrade ours deploy/helm/heteroaccel -n accel --reuse-values" {
					t.Errorf("%s is fixed by %s", l.Check, l.Fix)
				}
				if name == "sound" && l.Result != check.OK {
					t.Errorf("%+v", l)
				}
			}
			if !found {
				t.Errorf("no line %s %s with %q in %+v", tt.result, tt.check, tt.says, lines)
			}
			if len(a.removed) != tt.pods || len(a.left) > 0 {
				t.Errorf("%d pods were removed, want %d; left are %v", len(a.removed), tt.pods, a.left)
			}
		})
	}
}

const (
	profileList = "/apis/heteroaccel.io/v1alpha1/inferenceprofiles"
	elsewhere   = `{"metadata":{"name":"elsewhere","generation":1},"spec":{"variants":[{"accelerator":"GPU","image":"x","device":"GPU","limits":{"gpu.intel.com/i915":"1"}}]},"status":{"conditions":[{"type":"Usable","status":"True","observedGeneration":1}]}}`
)

var withClaim = strings.Replace(elsewhere, "elsewhere", boundWithClaim, 1)

// othersFirst has the first profile be for other namespaces than the check's.
func othersFirst(a *api, _ *Gatherer) {
	a.objects[profileList] = strings.Replace(a.objects[profileList], `"items":[`, `"items":[`+elsewhere+`,`, 1)
}

func othersAlone(a *api, _ *Gatherer) { a.objects[profileList] = `{"items":[` + elsewhere + `]}` }

// lateFirst has the pods of the first profile be bound late.
func lateFirst(a *api, _ *Gatherer) {
	a.objects[profileList] = strings.Replace(a.objects[profileList], `"items":[`, `"items":[`+withClaim+`,`, 1)
}

func lateAlone(a *api, _ *Gatherer) { a.objects[profileList] = `{"items":[` + withClaim + `]}` }

// helm has Helm installed everything, of which the policy was deleted.
func helm(a *api, g *Gatherer) {
	remove("validatingadmissionpolicies/heteroaccel-backstop")(a, g)
	for path, object := range a.objects {
		a.objects[path] = strings.Replace(object, `"metadata":{"name":"x"}`, `"metadata":{"name":"x","annotations":{"meta.helm.sh/release-name":"ours","meta.helm.sh/release-namespace":"accel"}}`, 1)
	}
}

// remove has the API server know nothing of a path.
func remove(suffix string) func(*api, *Gatherer) {
	return func(a *api, _ *Gatherer) {
		for path := range a.objects {
			if strings.HasSuffix(path, suffix) {
				delete(a.objects, path)
			}
		}
	}
}

// TestInterrupted: a pod of a check that is interrupted is removed.
func TestInterrupted(t *testing.T) {
	a, g := installed(t)
	ctx, cancel := context.WithCancel(t.Context())
	a.seen = cancel
	g.Gather(ctx)
	if len(a.removed) != 1 || len(a.left) > 0 {
		t.Errorf("removed were %v, left are %v", a.removed, a.left)
	}
}

// TestSweep: a pod that a killed check left is removed by the next one, and a young one,
// which another check waits for, is not.
func TestSweep(t *testing.T) {
	a, g := installed(t)
	a.objects[pods] = `{"items":[{"metadata":{"name":"old","creationTimestamp":"2026-01-01T00:00:00Z"}},{"metadata":{"name":"young","creationTimestamp":"2126-01-01T00:00:00Z"}}]}`
	g.Gather(t.Context())
	if len(a.removed) != 2 || a.removed[0] != "old" || len(a.left) > 0 {
		t.Errorf("removed were %v, left are %v", a.removed, a.left)
	}
}
