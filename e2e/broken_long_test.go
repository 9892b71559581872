//go:build long

package e2e

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/e2e/stack"
)

// TestCheckBroken: the command line program names each fault of an installation of
// its own, also those after which nobody should use it.
func TestCheckBroken(t *testing.T) {
	s := start(t, stack.Config{})
	playWorkloads(t, s)
	sound(t, s)
	broken(t, s, map[string]fault{
		"webhook down":              {stopWebhook, "admission", "cannot reach the webhook"},
		"caBundle wrong":            {spoilCABundle, "admission", "does not trust the webhook's certificate"},
		"extender down":             {stopExtender, "extender pages", "connection refused"},
		"scheduler without us":      {forgetExtender, "scheduler", "without asking the extender"},
		"exporter does not answer":  {stopExporter, "telemetry", "telemetry of node g"},
		"node without its plugin":   {removePlugin, "devices", "node g has the GPU"},
		"API of an earlier version": {olderSchema, "crd", "it lacks spec.serverAddress"},
	})
	t.Run("CRD missing", func(t *testing.T) {
		if said, err := s.Kubectl(t.Context(), "delete", "crd", check.CRDName); err != nil {
			t.Fatal(err, said)
		}
		says(t, s, check.Wrong, "crd", "is missing")
	})
}

func stopWebhook(t *testing.T, s *stack.Stack) func() error {
	s.Process("webhook").Stop()
	return func() error { return s.StartWebhook(context.Background()) }
}

// spoilCABundle writes a CA that issued nothing, and takes from the webhook the right to
// correct it.
func spoilCABundle(t *testing.T, s *stack.Stack) func() error {
	bindings := s.Client().RbacV1().ClusterRoleBindings()
	binding, err := bindings.Get(t.Context(), "heteroaccel-webhook-self-signed", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bindings.Delete(t.Context(), binding.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	says(t, s, check.Wrong, "rights", "heteroaccel-webhook may not patch mutatingwebhookconfigurations")
	configs := s.Client().AdmissionregistrationV1().MutatingWebhookConfigurations()
	config, err := configs.Get(t.Context(), check.RegistrationName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config.Webhooks[0].ClientConfig.CABundle = s.REST().CAData // the cluster's own
	if _, err := configs.Update(t.Context(), config, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding.ResourceVersion, binding.UID = "", ""
	return func() error {
		_, err := bindings.Create(context.Background(), binding, metav1.CreateOptions{})
		return err
	}
}

func stopExtender(t *testing.T, s *stack.Stack) func() error {
	s.Process("extender").Stop()
	return func() error { return s.StartExtender(context.Background()) }
}

func forgetExtender(t *testing.T, s *stack.Stack) func() error {
	whole := extenders(t, s)
	if err := s.RestartScheduler(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return func() error { return s.RestartScheduler(context.Background(), whole) }
}

func stopExporter(t *testing.T, s *stack.Stack) func() error {
	s.Process("exporter-g").Stop()
	return func() error { return s.StartExporter("g") }
}

// removePlugin has node g offer no GPU, as where its device plugin does not run.
func removePlugin(t *testing.T, s *stack.Stack) func() error {
	set := func(ctx context.Context, amount string) error {
		patch := fmt.Sprintf(`{"status":{"allocatable":{%q:%q}}}`, gpuResource, amount)
		_, err := s.Client().CoreV1().Nodes().Patch(ctx, "g", types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		return err
	}
	if err := set(t.Context(), "0"); err != nil {
		t.Fatal(err)
	}
	return func() error { return set(context.Background(), "1") }
}

func olderSchema(t *testing.T, s *stack.Stack) func() error {
	set := func(ctx context.Context, patch string) error {
		_, err := s.Kubectl(ctx, "patch", "crd", check.CRDName, "--type=json", "-p", patch)
		return err
	}
	const path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/serverAddress"
	if err := set(t.Context(), `[{"op":"remove","path":"`+path+`"}]`); err != nil {
		t.Fatal(err)
	}
	return func() error {
		return set(context.Background(), `[{"op":"add","path":"`+path+`","value":{"type":"string"}}]`)
	}
}
