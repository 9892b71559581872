package deploy_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestPoliciesAreBound: a policy without a binding refuses nothing, and one that
// names an account of nobody's holds nobody.
func TestPoliciesAreBound(t *testing.T) {
	const warns = "heteroaccel-misplaced" // of what it cannot judge nobody is warned
	policies, bound, accounts := map[string]*admissionv1.ValidatingAdmissionPolicy{}, map[string]bool{}, map[string]bool{}
	for _, obj := range decode(t, render(t, "testdata/connector-gateway")) {
		switch o := obj.(type) {
		case *admissionv1.ValidatingAdmissionPolicy:
			policies[o.Name] = o
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			action := admissionv1.Deny
			if o.Spec.PolicyName == warns {
				action = admissionv1.Warn
			}
			bound[o.Spec.PolicyName] = slices.Equal(o.Spec.ValidationActions, []admissionv1.ValidationAction{action}) && o.Spec.MatchResources == nil
		case *corev1.ServiceAccount:
			accounts["system:serviceaccount:"+o.Namespace+":"+o.Name] = true
		}
	}
	if len(policies) != 9 {
		t.Errorf("there are %d policies", len(policies))
	}
	user := regexp.MustCompile(`system:serviceaccount:[\w:-]+`)
	held := map[string]bool{}
	for name, p := range policies {
		if !bound[name] || (*p.Spec.FailurePolicy != admissionv1.Fail) != (name == warns) {
			t.Errorf("policy %s refuses nothing, or lets pass what it cannot judge", name)
		}
		if name == warns {
			continue
		}
		for _, c := range p.Spec.MatchConditions {
			for _, u := range user.FindAllString(c.Expression, -1) {
				if held[u] = true; !accounts[u] {
					t.Errorf("policy %s is about %s, which the manifests do not have", name, u)
				}
			}
		}
	}
	if len(held) != 2 {
		t.Errorf("the policies hold %v, want those who write: the webhook and the connector", held)
	}
}

// TestBackstopAgrees with the registration on which pods need the webhook.
func TestBackstopAgrees(t *testing.T) {
	registration := decode(t, read(t, "base/webhook/registration.yaml"))[0].(*admissionv1.MutatingWebhookConfiguration).Webhooks[0]
	backstop := decode(t, read(t, "base/policies/backstop.yaml"))[0].(*admissionv1.ValidatingAdmissionPolicy)
	if diff := cmp.Diff(registration.MatchConditions, backstop.Spec.MatchConditions); diff != "" {
		t.Errorf("conditions (-registration +backstop):\n%s", diff)
	}
	if diff := cmp.Diff(registration.NamespaceSelector, backstop.Spec.MatchConstraints.NamespaceSelector); diff != "" {
		t.Errorf("namespaces (-registration +backstop):\n%s", diff)
	}
}

// TestRecordNamesAgree: the policy lets the webhook create the Secrets that its
// Role lets it read, and no other.
func TestRecordNamesAgree(t *testing.T) {
	policy := string(read(t, "base/policies/webhook-objects.yaml"))
	pattern := regexp.MustCompile(`matches\('(\^heteroaccel-readmission-[^']+)'\)`).FindStringSubmatch(policy)
	if pattern == nil {
		t.Fatal("the policy names no Secrets of records")
	}
	allowed := regexp.MustCompile(pattern[1])
	role := string(read(t, "base/webhook/rbac-readmission.yaml"))
	names := regexp.MustCompile(`- (heteroaccel-readmission-\d+)`).FindAllStringSubmatch(role, -1)
	if len(names) != 32 {
		t.Errorf("the Role names %d Secrets", len(names))
	}
	for _, n := range names {
		if !allowed.MatchString(n[1]) {
			t.Errorf("the policy refuses %s", n[1])
		}
	}
	for _, other := range []string{"heteroaccel-readmission-32", "heteroaccel-readmission-01", "heteroaccel-readmission-", "heteroaccel-readmission-1x"} {
		if allowed.MatchString(other) {
			t.Errorf("the policy allows %s", other)
		}
	}
}
