package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// forbid has the API server refuse pods with an image, if an expression about
// the request holds, until the function it returns is called.
func forbid(t *testing.T, s *stack.Stack, name, image, expression string) (allow func()) {
	t.Helper()
	manifest := fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  matchConditions: [{name: whose, expression: %[3]q}]
  validations: [{expression: "!object.spec.containers.exists(c, c.image.endsWith('%[2]s'))", message: "images %[2]s are not for here"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s, validationActions: [Deny]}
`, name, image, expression)
	if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if said, err := s.KubectlInput(ctx, manifest, "delete", "-f", "-"); err != nil {
			t.Errorf("%v: %s", err, said)
		}
		enforced(t, s, image, false)
	}
}

// enforced waits until the API server refuses a pod with an image, or does not.
func enforced(t *testing.T, s *stack.Stack, image string, want bool) {
	t.Helper()
	p := plainPod("", func(p *corev1.Pod) { p.GenerateName = "probe-"; p.Spec.Containers[0].Image = "x" + image })
	eventually(t, func(ctx context.Context) error {
		_, err := s.Client().CoreV1().Pods(p.Namespace).Create(ctx, p.DeepCopy(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if refused := err != nil && strings.Contains(err.Error(), "not for here"); refused != want {
			return fmt.Errorf("the policy refuses: %v (%v), want %v", refused, err, want)
		}
		return nil
	})
}

// enforcedOn waits until the API server refuses a user a pod that it would
// create, and leaves none behind.
func enforcedOn(t *testing.T, s *stack.Stack, user, image string, options ...podOption) {
	t.Helper()
	p := plainPod("probe", append(options, func(p *corev1.Pod) { p.Spec.Containers[0].Image = "x" + image })...)
	eventually(t, func(ctx context.Context) error {
		said, err := s.KubectlInput(ctx, manifest(t, p), "create", "--as="+user, "--as-group=system:masters", "-f", "-")
		if err != nil {
			if strings.Contains(said+err.Error(), "not for here") {
				return nil
			}
			return fmt.Errorf("%w: %s", err, said)
		}
		now := int64(0)
		return errors.Join(errors.New("the policy does not refuse yet"),
			s.Client().CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	})
}
