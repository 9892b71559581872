package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/namespaces"
)

// namespacesChoose: a namespace gets the inferences that it allows, of the profiles
// that are for it, at once.
func namespacesChoose(t *testing.T, s *stack.Stack) {
	namespace(t, s, "cameras")
	try := func(ctx context.Context, ns, inference string) error {
		_, err := s.Client().CoreV1().Pods(ns).Create(ctx, anyPod("judged", inference, "any", inNamespace(ns)), dry)
		return err
	}
	refused := func(ns, inference, want string) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			if err := try(ctx, ns, inference); err == nil || !strings.Contains(err.Error(), want) {
				return errors.Join(errors.New("it is not refused with: "+want), err)
			}
			return nil
		})
	}
	judged(t, "before", try(t.Context(), "cameras", "action-recognition"), "")
	if said, err := s.Kubectl(t.Context(), "annotate", "namespace", "cameras", namespaces.AllowedAnnotation+"=face-recognition,text-recognition"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	refused("cameras", "action-recognition", "namespace cameras does not allow inference action-recognition, but face-recognition, text-recognition")
	judged(t, "allowed", try(t.Context(), "cameras", "face-recognition"), "")
	judged(t, "elsewhere", try(t.Context(), metav1.NamespaceDefault, "action-recognition"), "")

	selects := func(patch string) {
		t.Helper()
		if _, err := s.Profiles.Patch(context.Background(), "text-recognition", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	selects(`{"spec":{"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"In","values":["cameras","gates"]}]}}}`)
	defer selects(`{"spec":{"namespaceSelector":null}}`)
	refused(metav1.NamespaceDefault, "text-recognition", "inference text-recognition is not for namespace default")
	judged(t, "selected", try(t.Context(), "cameras", "text-recognition"), "")
}
