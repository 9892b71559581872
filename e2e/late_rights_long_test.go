//go:build long

package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// TestLateRights: pods are bound late, and moved, by a webhook that may create and delete
// no pod, nor any Secret but its own.
func TestLateRights(t *testing.T) {
	s := lateCluster(t, machine.Paper())
	asksNobody(t, s)
	policiesAre(t, s, 7)
	t.Run("page", func(t *testing.T) {
		accounts := rightsListed(t, s, "TestLateRights")
		for _, name := range []string{"heteroaccel-webhook", "heteroaccel-extender"} {
			if !accounts[stack.Namespace+":"+name] {
				t.Errorf("the page has no list of %s", name)
			}
		}
	})
	t.Run("pods", func(t *testing.T) { lateTouchesNoPod(t, s) })
	t.Run("Secrets", func(t *testing.T) { lateSecrets(t, s) })
	t.Run("moves", func(t *testing.T) { movedToWhatFrees(t, s) })
}

// lateTouchesNoPod: of pods the webhook's account changes what a move does, and no more.
func lateTouchesNoPod(t *testing.T, s *stack.Stack) {
	client := as(t, s, "heteroaccel-webhook").CoreV1()
	pods := client.Pods(metav1.NamespaceDefault)
	for name, p := range map[string]*corev1.Pod{"late": latePod("judged", "any"), "plain": plainPod("judged"), "of a controller": latePod("judged", "any")} {
		if name == "of a controller" {
			controlled(p)
		}
		for mode, options := range map[string]metav1.CreateOptions{"": {}, ", dry": dry} {
			_, err := pods.Create(t.Context(), p.DeepCopy(), options)
			judged(t, "create: "+name+mode, err, `cannot create resource "pods"`)
		}
	}
	waits := create(t, s, latePod("judged", "gpu", onNodes("nowhere", "at-all")))
	defer free(t, s, waits)
	judged(t, "delete", pods.Delete(t.Context(), waits.Name, metav1.DeleteOptions{}), `cannot delete resource "pods"`)
	evicts := pods.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
	judged(t, "delete all", evicts, `cannot deletecollection resource "pods"`)
	for name, c := range map[string]struct{ patch, want string }{
		"its image":     {`{"spec":{"containers":[{"name":"inference","image":"late:npu"}]}}`, ""},
		"another image": {`{"spec":{"containers":[{"name":"inference","image":"evil"}]}}`, "that its InferenceProfile does not name"},
		"a label":       {`{"metadata":{"labels":{"app":"b"}}}`, "no other label"},
		"an owner":      {`{"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"r","controller":true}]}}`, "gives a ReplicaSet"},
	} {
		_, err := pods.Patch(t.Context(), waits.Name, types.StrategicMergePatchType, []byte(c.patch), metav1.PatchOptions{DryRun: dry.DryRun})
		judged(t, "change: "+name, err, c.want)
	}
}

// lateSecrets: of Secrets the webhook's account has its key and its certificate.
func lateSecrets(t *testing.T, s *stack.Stack) {
	client := as(t, s, "heteroaccel-webhook").CoreV1()
	const key, certificate, record = "heteroaccel-webhook-key", "heteroaccel-webhook-ca", "heteroaccel-readmission-0"
	secrets := client.Secrets(stack.Namespace)
	for name, want := range map[string]string{key: "", certificate: "", record: "cannot get", "mine": "cannot get"} {
		_, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
		judged(t, "get "+name, err, want)
	}
	_, err := secrets.List(t.Context(), metav1.ListOptions{})
	judged(t, "list", err, "cannot list")
	for _, name := range []string{key, certificate, record, "mine"} {
		judged(t, "delete "+name, secrets.Delete(t.Context(), name, metav1.DeleteOptions{}), "cannot delete")
	}
	for name, c := range map[string]struct {
		kind corev1.SecretType
		want string
	}{
		key: {corev1.SecretTypeOpaque, ""}, certificate: {corev1.SecretTypeOpaque, ""}, record: {"heteroaccel.io/readmission", ""},
		"mine": {corev1.SecretTypeOpaque, "no other Secret"}, "heteroaccel-webhook-token": {corev1.SecretTypeServiceAccountToken, "none of another type"},
	} {
		secret := &corev1.Secret{ObjectMeta: named(stack.Namespace, name), Type: c.kind}
		if c.kind == corev1.SecretTypeServiceAccountToken {
			secret.Annotations = map[string]string{corev1.ServiceAccountNameKey: "heteroaccel-extender"}
		}
		_, err := secrets.Create(t.Context(), secret, dry)
		judged(t, "create "+name, err, c.want)
	}
	elsewhere := client.Secrets(metav1.NamespaceDefault)
	_, err = elsewhere.Get(t.Context(), key, metav1.GetOptions{})
	judged(t, "get elsewhere", err, "cannot get")
	_, err = elsewhere.Create(t.Context(), &corev1.Secret{ObjectMeta: named(metav1.NamespaceDefault, key)}, dry)
	judged(t, "create elsewhere", err, "cannot create")
	judged(t, "delete elsewhere", elsewhere.Delete(t.Context(), key, metav1.DeleteOptions{}), "cannot delete")
}
