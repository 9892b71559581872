package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// dry are the options of a create that the API server judges and does not keep.
var dry = metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}

// TestRights: the API server holds each of our service accounts to what its
// program does.
func TestRights(t *testing.T) {
	s := borrow(t, paper)
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	takesPods(t, s, stack.SessionNamespace)
	policiesCheck(t, s)
	t.Run("webhook creates", func(t *testing.T) { webhookCreates(t, s) })
	t.Run("webhook changes", func(t *testing.T) { webhookChanges(t, s) })
	t.Run("webhook writes", func(t *testing.T) { webhookWrites(t, s) })
	t.Run("connector", func(t *testing.T) { connectorWrites(t, s) })
	t.Run("backstop", func(t *testing.T) { backstop(t, s) })
	t.Run("namespaces choose", func(t *testing.T) { namespacesChoose(t, s) })
	t.Run("page", func(t *testing.T) { rightsPage(t, s) })
	t.Run("PodSecurity", func(t *testing.T) { admittedByPodSecurity(t, s) })
}

// as is a client with the rights of one of our service accounts.
func as(t *testing.T, s *stack.Stack, account string) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(s.RESTAs(account))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// judged checks the API server's answer: want is a part of it, "" for no refusal.
func judged(t *testing.T, name string, err error, want string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		switch {
		case want == "" && err != nil && !apierrors.IsAlreadyExists(err): // which is found last
			t.Errorf("refused: %v", err)
		case want != "" && err == nil:
			t.Errorf("allowed, want a refusal with %q", want)
		case want != "" && !strings.Contains(err.Error(), want):
			t.Errorf("refused with %v, want %q", err, want)
		}
	})
}

// policiesAre waits until the API server has so many policies of ours at least, and has
// found nothing wrong with their expressions.
func policiesAre(t *testing.T, s *stack.Stack, atLeast int) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		policies, err := s.Client().AdmissionregistrationV1().ValidatingAdmissionPolicies().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		ours := 0
		for _, p := range policies.Items {
			if !strings.HasPrefix(p.Name, "heteroaccel-") {
				continue
			}
			ours++
			if p.Status.ObservedGeneration != p.Generation {
				return fmt.Errorf("policy %s has not been checked yet", p.Name)
			}
			for _, w := range p.Status.TypeChecking.ExpressionWarnings {
				t.Errorf("policy %s: %s: %s", p.Name, w.FieldRef, w.Warning)
			}
		}
		if ours < atLeast {
			return fmt.Errorf("%d policies of ours", ours)
		}
		return nil
	})
}

// policiesCheck waits until the API server has every policy of ours in force.
func policiesCheck(t *testing.T, s *stack.Stack) {
	t.Helper()
	policiesAre(t, s, 6)
	eventually(t, func(ctx context.Context) error {
		_, err := as(t, s, "heteroaccel-connector").CoreV1().Pods(stack.SessionNamespace).Create(ctx, plainPod("probe", inNamespace(stack.SessionNamespace)), dry)
		if err == nil || !strings.Contains(err.Error(), "only inference servers") {
			return fmt.Errorf("the connector's policy, which was installed last, refuses nothing: %w", err)
		}
		return nil
	})
}

// controlled gives a pod a controller, which need not be there.
func controlled(p *corev1.Pod) {
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "r", UID: "r", Controller: new(true)}}
}

// restricted makes a pod one that PodSecurity's level restricted allows.
func restricted(p *corev1.Pod) {
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), RunAsNonRoot: new(true),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func mounts(source corev1.VolumeSource) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "v", VolumeSource: source})
	}
}

func hostPath(path string) podOption {
	return mounts(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}})
}

func contained(change func(*corev1.Container)) podOption {
	return func(p *corev1.Pod) { change(&p.Spec.Containers[0]) }
}

func ofSecret(name string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: "k"}}
}

// webhookCreates: pods that the webhook's account may create, and may not.
func webhookCreates(t *testing.T, s *stack.Stack) {
	client := as(t, s, "heteroaccel-webhook")
	sessions := inNamespace(stack.SessionNamespace)
	accounts := s.Client().CoreV1().ServiceAccounts(metav1.NamespaceDefault)
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "other"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := accounts.Delete(context.Background(), "other", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}()
	for name, c := range map[string]struct {
		option podOption
		want   string
	}{
		"bare":        {func(*corev1.Pod) {}, ""},
		"asked about": {controlled, ""},
		"device file": {hostPath("/dev/dri"), ""},
		"ConfigMap":   {mounts(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}), ""},
		"claim":       {mounts(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}), ""},
		"asked about with a Secret": {func(p *corev1.Pod) {
			controlled(p)
			mounts(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}})(p)
		}, ""},
		"in kube-system":      {inNamespace("kube-system"), "touches no pod of this namespace"},
		"in our namespace":    {func(p *corev1.Pod) { restricted(p); p.Namespace = stack.Namespace }, "touches no pod of this namespace"},
		"among the exporters": {inNamespace(stack.ExporterNamespace), "touches no pod of this namespace"},
		"on a node":           {func(p *corev1.Pod) { p.Annotations, p.Spec.NodeName = admittedAnnotations, "g" }, "on a node of its choice"},
		"not ours":            {func(p *corev1.Pod) { p.Annotations = nil }, "only pods that HeteroAccel has admitted"},
		"host network":        {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "in a namespace of its node"},
		"host PID":            {func(p *corev1.Pod) { p.Spec.HostPID = true }, "in a namespace of its node"},
		"privileged":          {contained(func(c *corev1.Container) { c.SecurityContext = &corev1.SecurityContext{Privileged: new(true)} }), "no privileged pod"},
		"capability": {contained(func(c *corev1.Container) {
			c.SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_RAW"}}}
		}), "further capabilities"},
		"privileged init container": {func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "i", SecurityContext: &corev1.SecurityContext{Privileged: new(true)}}}
		}, "no privileged pod"},
		"path of the node":     {hostPath("/var/lib/kubelet"), "more of its node than device files"},
		"device file's prefix": {hostPath("/devices"), "more of its node than device files"},
		"account":              {func(p *corev1.Pod) { p.Spec.ServiceAccountName = "other" }, "another service account"},
		"Secret":               {mounts(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}), "volumes of Secrets"},
		"projected Secret": {mounts(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}}}}}), "volumes of Secrets"},
		"driver":   {mounts(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "d.example"}}), "or of drivers"},
		"variable": {contained(func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "E", ValueFrom: ofSecret("s")}} }), "reads Secrets"},
		"variables": {contained(func(c *corev1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}}}
		}), "reads Secrets"},
		"Secret of a session": {func(p *corev1.Pod) {
			sessions(p)
			mounts(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}})(p)
		}, ""},
	} {
		p := anyPod("judged", "face-recognition", "any", c.option)
		_, err := client.CoreV1().Pods(p.Namespace).Create(t.Context(), p, dry)
		judged(t, name, err, c.want)
	}
	p := anyPod("judged", "face-recognition", "any", controlled)
	_, err := client.CoreV1().Pods(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{})
	judged(t, "of a controller", err, "only in a dry run")
}

// admittedAnnotations are those of a pod that the webhook never saw.
var admittedAnnotations = map[string]string{accel.OriginalAnnotation: "x", accel.SelectedAnnotation: "CPU"}

// webhookChanges: changes of pods that the webhook's account may make, and may not.
func webhookChanges(t *testing.T, s *stack.Stack) {
	client := as(t, s, "heteroaccel-webhook").CoreV1().Pods(metav1.NamespaceDefault)
	nowhere := onNodes("nowhere", "at-all")
	admitted := create(t, s, anyPod("admitted", "face-recognition", "any", nowhere, func(p *corev1.Pod) { p.Labels = map[string]string{"app": "a"} }))
	plain := create(t, s, plainPod("plain", nowhere))
	bound := running(t, s, create(t, s, anyPod("bound", "face-recognition", "any")))
	for name, c := range map[string]struct{ pod, patch, want string }{
		"requeue":                        {"admitted", `{"metadata":{"annotations":{"heteroaccel.io/retry":"now"}}}`, ""},
		"deletion cost":                  {"admitted", `{"metadata":{"annotations":{"controller.kubernetes.io/pod-deletion-cost":"-1"}}}`, ""},
		"release":                        {"admitted", `{"metadata":{"labels":{"heteroaccel.io/released":"x","job-name":null},"ownerReferences":[]}}`, ""},
		"requeue a pod that is not ours": {"plain", `{"metadata":{"annotations":{"heteroaccel.io/retry":"now"}}}`, "only pods that HeteroAccel has admitted"},
		"make it ours":                   {"plain", `{"metadata":{"annotations":{"heteroaccel.io/original":"x"}}}`, "only pods that HeteroAccel has admitted"},
		"image":                          {"admitted", `{"spec":{"containers":[{"name":"inference","image":"evil"}]}}`, "nothing of a pod but its metadata"},
		"label":                          {"admitted", `{"metadata":{"labels":{"app":"b"}}}`, "no other label"},
		"new label":                      {"admitted", `{"metadata":{"labels":{"tier":"b"}}}`, "no other label"},
		"remove a label":                 {"admitted", `{"metadata":{"labels":{"app":null}}}`, "no other label"},
		"record":                         {"admitted", `{"metadata":{"annotations":{"heteroaccel.io/original":"x"}}}`, "no other annotation"},
		"remove the record":              {"admitted", `{"metadata":{"annotations":{"heteroaccel.io/original":null}}}`, "no other annotation"},
		"owner":                          {"admitted", `{"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"r","controller":true}]}}`, "gives a ReplicaSet"},
		"finalizer":                      {"admitted", `{"metadata":{"finalizers":["example.com/x"]}}`, "no other finalizer"},
	} {
		_, err := client.Patch(t.Context(), c.pod, types.StrategicMergePatchType, []byte(c.patch), metav1.PatchOptions{DryRun: dry.DryRun})
		judged(t, name, err, c.want)
	}
	for pod, want := range map[string]string{"admitted": "", "plain": "only pods that HeteroAccel has admitted", "bound": "no bound pod"} {
		judged(t, "delete "+pod, client.Delete(t.Context(), pod, metav1.DeleteOptions{DryRun: dry.DryRun}), want)
	}
	for _, p := range []*corev1.Pod{admitted, plain, bound} {
		if err := s.Client().CoreV1().Pods(p.Namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
	eventually(t, func(ctx context.Context) error {
		pods, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			err = errors.New("pods are still there")
		}
		return err
	})
}
