package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/journal"
)

// decisionsShown: what the webhook decides is on the extender's page and a line in the
// webhook's log each: also about a pod that was denied, and so does not exist, one that
// the API server denied after us, and one that was recreated; and none of it about a dry run. An extender that is restarted reads
// it anew.
func decisionsShown(t *testing.T, s *stack.Stack) {
	namespace(t, s, "told")
	manifest := strings.ReplaceAll(waitingOwners["bare pod"], "name: waits", "name: told")
	npu := occupy(t, s, stickResource)
	defer deleteOwner(t, s, manifest)
	waitsFor(t, s, manifest, "GPU")
	vacate(t, s, npu)
	runsOn(t, s, "NPU")
	pods := s.Client().CoreV1().Pods("told")
	if _, err := pods.Create(t.Context(), anyPod("typo", "face-recogniton", "any", inNamespace("told")), metav1.CreateOptions{}); err == nil {
		t.Fatal("a pod of an unknown inference was admitted")
	}
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if _, err := pods.Create(t.Context(), anyPod("dry", "face-recognition", "any", inNamespace("told")), dry); err != nil {
		t.Fatal(err)
	}
	// The API server looks at fields after the webhook did.
	invalid := anyPod("invalid", "face-recognition", "any", inNamespace("told"))
	invalid.Spec.Containers[0].TerminationMessagePolicy = "Nonsense"
	if _, err := pods.Create(t.Context(), invalid, metav1.CreateOptions{}); err == nil {
		t.Fatal("a pod with a field of no meaning was created")
	}
	shown := func(ctx context.Context) error {
		text, err := stack.Get(ctx, s.URL("extender", "/decisions?format=json"))
		if err != nil {
			return err
		}
		var page struct{ Decisions []journal.Entry }
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			return err
		}
		var got []string
		for _, d := range page.Decisions {
			if d.Pod == "told" || d.Namespace == "told" {
				got = append(got, fmt.Sprintf("%s %s %s %s", d.What, d.Pod, d.From, d.Kind))
			}
			if strings.Contains(d.Reason, "secret") {
				t.Errorf("what a pod's environment has is shown: %+v", d)
			}
		}
		// The replacement gets what it was recreated for, before that is reported or after.
		said := strings.Join(got, "\n")
		for _, want := range []string{"waits told  GPU", "recreated told GPU NPU", "chosen told  NPU", "denied typo  "} {
			if strings.Count(said, want) != 1 {
				return fmt.Errorf("want %q once in:\n%s", want, said)
			}
		}
		if strings.Count(said, " invalid ") != 2 || strings.Count(said, "lapsed invalid ") != 1 {
			return fmt.Errorf("want that a pod was admitted and not created: %s", said)
		}
		if len(got) != 6 {
			return fmt.Errorf("want six decisions: %s", said)
		}
		return nil
	}
	eventually(t, shown)

	log, err := os.ReadFile(s.Process("webhook").Log())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`did you mean face-recognition?`, `"message":"pod recreated for another kind"`, `"message":"pod admitted: it waits for an accelerator"`, `"message":"reservation lapsed: its pod was not created"`} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the webhook's log lacks %s", want)
		}
	}
	if strings.Contains(string(log), "PASSWORD") {
		t.Error("the webhook's log has a pod's environment")
	}

	s.Process("extender").Stop()
	if err := s.StartExtender(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, shown)
}
