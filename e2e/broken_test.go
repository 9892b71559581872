package e2e

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// fault is one way to break an installation.
type fault struct {
	// do breaks it and returns what fixes it again.
	do func(t *testing.T, s *stack.Stack) (fix func() error)
	// check is the line that names it, and says a part of that.
	check, says string
}

// quick are the faults that are noticed at once, and harm nobody who uses the
// installation later.
var quick = map[string]fault{
	"registration deleted":         {deleteRegistration, "registration", "the webhook is not registered"},
	"backstop unbound":             {unbindBackstop, "backstop", "is not bound"},
	"profile that no node can run": {unrunnable, "devices", "profile nowhere can run nowhere"},
}

// slow are those that take the controllers a moment.
var slow = map[string]fault{
	"rights removed":              {removeRights, "rights", "heteroaccel-webhook may not delete pods"},
	"extender of another version": {otherVersion, "versions", "the programs are of different versions"},
	"exporter missing on a node":  {keepExporterOff, "exporters", "no exporter runs on node g"},
}

// broken breaks an installation in each way, and fixes it again.
func broken(t *testing.T, s *stack.Stack, faults map[string]fault) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			fix := f.do(t, s)
			says(t, s, check.Wrong, f.check, f.says)
			if err := fix(); err != nil {
				t.Fatal(err)
			}
		})
	}
	sound(t, s)
}

func deleteRegistration(t *testing.T, s *stack.Stack) func() error {
	configs := s.Client().AdmissionregistrationV1().MutatingWebhookConfigurations()
	config, err := configs.Get(t.Context(), check.RegistrationName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := configs.Delete(t.Context(), config.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	config.ResourceVersion, config.UID = "", ""
	return func() error {
		// The policy alone stands between an annotated pod and no kind now.
		says(t, s, check.Wrong, "admission", "the backstop policy refused the pod")
		_, err := configs.Create(context.Background(), config, metav1.CreateOptions{})
		return err
	}
}

func unbindBackstop(t *testing.T, s *stack.Stack) func() error {
	bindings := s.Client().AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	binding, err := bindings.Get(t.Context(), check.BackstopName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bindings.Delete(t.Context(), binding.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	binding.ResourceVersion, binding.UID = "", ""
	return func() error {
		_, err := bindings.Create(context.Background(), binding, metav1.CreateOptions{})
		return err
	}
}

func unrunnable(t *testing.T, s *stack.Stack) func() error {
	p := &v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "nowhere"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{{
			Accelerator: "DLA", Image: "example.com/dla:v1", Device: "DLA", Limits: map[corev1.ResourceName]v1alpha1.Amount{"example.com/dla": resource.MustParse("1")},
		}}},
	}
	if _, err := s.Profiles.Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return func() error { return s.Profiles.Delete(context.Background(), p.Name, metav1.DeleteOptions{}) }
}

func removeRights(t *testing.T, s *stack.Stack) func() error {
	bindings := s.Client().RbacV1().ClusterRoleBindings()
	binding, err := bindings.Get(t.Context(), "heteroaccel-webhook-readmission", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bindings.Delete(t.Context(), binding.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	binding.ResourceVersion, binding.UID = "", ""
	return func() error {
		_, err := bindings.Create(context.Background(), binding, metav1.CreateOptions{})
		return err
	}
}

func otherVersion(t *testing.T, s *stack.Stack) func() error {
	set := func(ctx context.Context, version string) error {
		patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"extender","image":"heteroaccel/heteroaccel:%s"}]}}}}`, version)
		_, err := s.Client().AppsV1().Deployments(stack.Namespace).Patch(ctx, check.Extender, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	}
	if err := set(t.Context(), "v0.2.0"); err != nil {
		t.Fatal(err)
	}
	return func() error { return set(context.Background(), "v0.1.0") }
}

// keepExporterOff has the DaemonSet leave node g out.
func keepExporterOff(t *testing.T, s *stack.Stack) func() error {
	set := func(ctx context.Context, affinity string) error {
		patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"affinity":%s}}}}`, affinity)
		_, err := s.Client().AppsV1().DaemonSets(stack.ExporterNamespace).Patch(ctx, check.Exporter, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	}
	const notOnG = `{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchFields":[{"key":"metadata.name","operator":"NotIn","values":["g"]}]}]}}}`
	if err := set(t.Context(), notOnG); err != nil {
		t.Fatal(err)
	}
	return func() error { return set(context.Background(), "null") }
}
