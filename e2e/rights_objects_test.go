package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/webhook/readmit/podapi"
)

// named is the metadata of an object in a namespace.
func named(namespace, name string, labels ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}}
	for pair := range slices.Chunk(labels, 2) {
		m.Labels[pair[0]] = pair[1]
	}
	return m
}

// webhookWrites: objects other than pods.
func webhookWrites(t *testing.T, s *stack.Stack) {
	client := as(t, s, "heteroaccel-webhook")
	for name, c := range map[string]struct {
		secret     string
		secretType corev1.SecretType
		want       string
	}{
		"record":          {"heteroaccel-readmission-31", "heteroaccel.io/readmission", ""},
		"no such record":  {"heteroaccel-readmission-32", "heteroaccel.io/readmission", "no other Secret"},
		"token":           {"heteroaccel-readmission-31", corev1.SecretTypeServiceAccountToken, "none of another type"},
		"token as key":    {"heteroaccel-webhook-kez", corev1.SecretTypeServiceAccountToken, "none of another type"},
		"another":         {"mine", corev1.SecretTypeOpaque, "no other Secret"},
		"bootstrap token": {"bootstrap-token-abcdef", "bootstrap.kubernetes.io/token", "no other Secret"},
	} {
		secret := &corev1.Secret{ObjectMeta: named(stack.Namespace, c.secret), Type: c.secretType}
		if c.secretType == corev1.SecretTypeServiceAccountToken {
			secret.Annotations = map[string]string{corev1.ServiceAccountNameKey: "heteroaccel-extender"}
		}
		_, err := client.CoreV1().Secrets(stack.Namespace).Create(t.Context(), secret, dry)
		judged(t, "Secret: "+name, err, c.want)
	}
	_, err := client.CoreV1().ConfigMaps(stack.Namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: named(stack.Namespace, "heteroaccel-readmission-status")}, dry)
	judged(t, "status", err, "")
	_, err = client.CoreV1().ConfigMaps(stack.Namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: named(stack.Namespace, "heteroaccel-prometheus")}, dry)
	judged(t, "ConfigMap", err, "no other ConfigMap")
	_, err = client.CoordinationV1().Leases(stack.Namespace).Create(t.Context(), &coordinationv1.Lease{ObjectMeta: named(stack.Namespace, "heteroaccel-connector")}, dry)
	judged(t, "Lease", err, "no other Lease")
	pod := create(t, s, holder(gpuResource))
	defer vacate(t, s, pod)
	judged(t, "eviction in a dry run", (&podapi.Client{Interface: client}).MayDisrupt(t.Context(), pod), "")
	err = client.PolicyV1().Evictions(pod.Namespace).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: named(pod.Namespace, pod.Name)})
	judged(t, "eviction", err, "evicts no pod")
	mayEvict(t, s)
	eventually(t, func(ctx context.Context) error { // the policies' copy of the namespace is behind
		err = client.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: named(pod.Namespace, pod.Name)})
		if err != nil && strings.Contains(err.Error(), "evicts no pod") {
			return err
		}
		return nil
	})
	judged(t, "eviction of whatever has the name", err, "only the pod that it has looked at")
	for name, c := range map[string]struct{ patch, want string }{
		"caBundle":    {`[{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":"Cg=="}]`, ""},
		"address":     {`[{"op":"replace","path":"/webhooks/0/clientConfig/url","value":"https://localhost:1/mutate"}]`, "but the caBundle"},
		"rules":       {`[{"op":"replace","path":"/webhooks/0/rules/0/resources","value":["*"]}]`, "but the caBundle"},
		"conditions":  {`[{"op":"remove","path":"/webhooks/0/matchConditions"}]`, "but the caBundle"},
		"namespaces":  {`[{"op":"remove","path":"/webhooks/0/namespaceSelector"}]`, "but the caBundle"},
		"failures":    {`[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]`, "but the caBundle"},
		"time-out":    {`[{"op":"replace","path":"/webhooks/0/timeoutSeconds","value":30}]`, "but the caBundle"},
		"another":     {`[{"op":"copy","from":"/webhooks/0","path":"/webhooks/1"},{"op":"replace","path":"/webhooks/1/name","value":"all.heteroaccel.io"}]`, "but the caBundle"},
		"none":        {`[{"op":"remove","path":"/webhooks/0"}]`, "but the caBundle"},
		"annotations": {`[{"op":"add","path":"/metadata/annotations","value":{"cert-manager.io/inject-ca-from":"a/b"}}]`, "but the caBundle"},
	} {
		_, err := client.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(t.Context(), "heteroaccel", types.JSONPatchType, []byte(c.patch), metav1.PatchOptions{DryRun: dry.DryRun})
		judged(t, "registration: "+name, err, c.want)
	}
}

// enforces sets the PodSecurity level of the sessions' namespace.
func enforces(t *testing.T, s *stack.Stack, level string) {
	t.Helper()
	namespace := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q,"labels":{"pod-security.kubernetes.io/enforce":%q}}}`, stack.SessionNamespace, level)
	if said, err := s.KubectlInput(context.Background(), namespace, "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	err := await(context.Background(), func(ctx context.Context) error {
		pod := plainPod("probe", inNamespace(stack.SessionNamespace), func(p *corev1.Pod) { p.Spec.HostNetwork = true })
		_, err := s.Client().CoreV1().Pods(pod.Namespace).Create(ctx, pod, dry)
		if refused := err != nil; refused != (level == "baseline") {
			return fmt.Errorf("the API server has not seen the level yet: %w", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// connectorWrites: what the connector's account may write, and may not.
func connectorWrites(t *testing.T, s *stack.Stack) {
	client := as(t, s, "heteroaccel-connector")
	enforces(t, s, "privileged") // what PodSecurity refuses, the policy need not
	defer enforces(t, s, "baseline")
	server := func(p *corev1.Pod) {
		p.Namespace, p.Labels = stack.SessionNamespace, map[string]string{"heteroaccel.io/session": "server"}
		p.Annotations["heteroaccel.io/session-pool"] = "{}"
	}
	for name, c := range map[string]struct {
		option podOption
		want   string
	}{
		"server":       {func(*corev1.Pod) {}, ""},
		"other pod":    {func(p *corev1.Pod) { p.Labels = nil }, "only inference servers"},
		"host network": {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "no privileged pod"},
		"privileged":   {contained(func(c *corev1.Container) { c.SecurityContext = &corev1.SecurityContext{Privileged: new(true)} }), "no privileged pod"},
		"elsewhere":    {inNamespace(stack.Namespace), `cannot create resource "pods"`},
		"owned":        {controlled, "no privileged pod"},
	} {
		p := anyPod("judged", "face-recognition", "any", server, c.option)
		_, err := client.CoreV1().Pods(p.Namespace).Create(t.Context(), p, dry)
		judged(t, name, err, c.want)
	}
	for name, c := range map[string]struct{ namespace, lease, label, want string }{
		"session":   {stack.SessionNamespace, "session-x", "session", ""},
		"renewals":  {stack.SessionNamespace, "renewals-x-1", "renewals", ""},
		"any Lease": {stack.SessionNamespace, "x", "session", "no Lease but its own"},
		"own Lease": {stack.Namespace, "heteroaccel-connector", "", ""},
		"webhook's": {stack.Namespace, "heteroaccel-webhook", "", "no Lease but its own"},
	} {
		_, err := client.CoordinationV1().Leases(c.namespace).Create(t.Context(), &coordinationv1.Lease{ObjectMeta: named(c.namespace, c.lease, "heteroaccel.io/session", c.label)}, dry)
		judged(t, "Lease: "+name, err, c.want)
	}
	for name, c := range map[string]struct {
		change func(*corev1.Service)
		want   string
	}{
		"of a server":    {func(*corev1.Service) {}, ""},
		"in the cluster": {func(v *corev1.Service) { v.Spec.Type = corev1.ServiceTypeClusterIP }, ""},
		"another name": {func(v *corev1.Service) {
			v.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com", Selector: v.Spec.Selector}
		}, "no Service but one"},
		"of other pods":   {func(v *corev1.Service) { v.Spec.Selector = map[string]string{"app": "x"} }, "no Service but one"},
		"other addresses": {func(v *corev1.Service) { v.Spec.ExternalIPs = []string{"198.51.100.1"} }, "no Service but one"},
		"other name":      {func(v *corev1.Service) { v.Name = "kubernetes" }, "no Service but one"},
	} {
		service := &corev1.Service{ObjectMeta: named(stack.SessionNamespace, "svc-x"), Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"heteroaccel.io/session-server": "x"},
			Ports: []corev1.ServicePort{{Port: 8080, TargetPort: intstr.FromInt32(8080)}},
		}}
		c.change(service)
		_, err := client.CoreV1().Services(stack.SessionNamespace).Create(t.Context(), service, dry)
		judged(t, "Service: "+name, err, c.want)
	}
}

// networkPolicies are kubectl's flags for the files of the component.
func networkPolicies(t *testing.T, root string) (flags []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy", "network-policies", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Base(f) != "kustomization.yaml" {
			flags = append(flags, "-f", f)
		}
	}
	return flags
}

// admittedByPodSecurity: the API server admits the pods of every workload that the
// manifests install.
func admittedByPodSecurity(t *testing.T, s *stack.Stack) {
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	judgedPods := 0
	for _, overlay := range []string{"prometheus", "testdata/connector-node", "testdata/cert-manager", "testdata/external-use"} {
		rendered, err := s.Kubectl(t.Context(), "kustomize", filepath.Join(root, "deploy", overlay))
		if err != nil {
			t.Fatal(err)
		}
		for d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(rendered), 4096); ; {
			var workload struct {
				Kind     string
				Metadata metav1.ObjectMeta
				Spec     struct{ Template corev1.PodTemplateSpec }
			}
			if err := d.Decode(&workload); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if workload.Kind != "Deployment" && workload.Kind != "DaemonSet" {
				continue
			}
			pod := &corev1.Pod{ObjectMeta: workload.Spec.Template.ObjectMeta, Spec: workload.Spec.Template.Spec}
			pod.Name, pod.Spec.ServiceAccountName = workload.Metadata.Name, "" // a component's account is not there
			judgedPods++
			_, err = s.Client().CoreV1().Pods(workload.Metadata.Namespace).Create(t.Context(), pod, dry)
			judged(t, overlay+" "+pod.Name, err, "")
		}
	}
	said, err := s.Kubectl(t.Context(), append([]string{"apply", "--server-side", "--dry-run=server"}, networkPolicies(t, root)...)...)
	judged(t, "network policies", err, "")
	if n := strings.Count(said, "networkpolicy.networking.k8s.io/"); n < 12 {
		t.Errorf("the API server was shown %d NetworkPolicies:\n%s", n, said)
	}
	if judgedPods < 12 {
		t.Errorf("%d pods were judged", judgedPods)
	}
	pod := plainPod("plain", inNamespace(stack.Namespace))
	_, err = s.Client().CoreV1().Pods(stack.Namespace).Create(t.Context(), pod, dry)
	judged(t, "any pod", err, fmt.Sprintf("violates PodSecurity %q", "restricted:latest"))
}
