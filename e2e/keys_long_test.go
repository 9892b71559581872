//go:build long

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/kube"
	sealed "heteroaccel.io/pkg/record"
)

// secretData reads the Secret with the keys as docs/keys.md backs it up.
func secretData(t *testing.T, s *stack.Stack) string {
	t.Helper()
	said, err := s.Kubectl(t.Context(), "-n", stack.Namespace, "get", "secret", kube.KeySecret, "-o", "jsonpath={.data}")
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return said
}

// patchSecret merges fields into the Secret, as docs/keys.md does.
func patchSecret(t *testing.T, s *stack.Stack, patch string) {
	t.Helper()
	if said, err := s.Kubectl(t.Context(), "-n", stack.Namespace, "patch", "secret", kube.KeySecret, "-p", patch); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

// saysMetric waits for a value of the webhook's metrics.
func saysMetric(t *testing.T, s *stack.Stack, name string, want float64) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		got, err := metric(ctx, s, name)
		if err == nil && got != want {
			err = fmt.Errorf("%s is %g, want %g", name, got, want)
		}
		return err
	})
}

// keyOf is the id of the key that a pod's record was sealed with.
func keyOf(annotations map[string]string) string {
	id, _ := sealed.KeyOf(annotations[accel.OriginalAnnotation])
	return id
}

// TestKeys follows an installation through all that happens to its keys: pods that
// wait while they are rotated get the next device of another kind all the same, what is
// deleted or replaced by garbage stops nobody, and pods whose key is lost keep
// waiting for the kind that they have.
func TestKeys(t *testing.T) {
	s := start(t, stack.Config{Machines: oneOfEach(), Race: true})
	gpu := occupy(t, s, gpuResource)
	// Keys of 32 bytes, in base64.
	const rotated, other = "key-99991231T235959Z", "key-99991231T235959Z-other"
	secret := map[string]string{rotated: strings.Repeat("Qk", 21) + "Q=", other: strings.Repeat("Rk", 21) + "Q="}

	for _, owner := range []string{"bare pod", "Job", "Deployment"} {
		npu := occupy(t, s, stickResource)
		before := waitsFor(t, s, waitingOwners[owner], "GPU")
		if owner == "bare pod" { // each of the others waits over a change of the key that seals
			patchSecret(t, s, fmt.Sprintf(`{"data":{%q:%q}}`, rotated, secret[rotated]))
			saysMetric(t, s, `heteroaccel_webhook_key_seals{key="`+rotated+`"}`, 1)
		}
		vacate(t, s, npu)
		after, _ := runsOn(t, s, "NPU")
		if n := after.Annotations[accel.ReadmissionsAnnotation]; n != "1" {
			t.Errorf("%s: recreated %q times, want 1", owner, n)
		}
		if owner == "bare pod" && (keyOf(before.Annotations) == keyOf(after.Annotations) || keyOf(after.Annotations) == "") {
			t.Errorf("the pods before and after the rotation have records of the keys %q and %q", keyOf(before.Annotations), keyOf(after.Annotations))
		}
		deleteOwner(t, s, waitingOwners[owner])
	}

	backup := secretData(t, s)
	if said, err := s.Kubectl(t.Context(), "-n", stack.Namespace, "delete", "secret", kube.KeySecret); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	eventually(t, func(ctx context.Context) error {
		again, err := s.Client().CoreV1().Secrets(stack.Namespace).Get(ctx, kube.KeySecret, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got, _ := json.Marshal(again.Data); string(got) != backup {
			return fmt.Errorf("the Secret was created with other keys: %v", len(again.Data))
		}
		return nil
	})

	patchSecret(t, s, `{"data":{"key-typo":"Z2FyYmFnZQ=="}}`)
	saysMetric(t, s, "heteroaccel_webhook_keys_readable", 0)
	npu := occupy(t, s, stickResource)
	before := waitsFor(t, s, waitingOwners["bare pod"], "GPU")
	patchSecret(t, s, `{"data":{"key-typo":null}}`)
	saysMetric(t, s, "heteroaccel_webhook_keys_readable", 1)

	// All keys are lost: somebody replaced them by another.
	var fields map[string]any
	if err := json.Unmarshal([]byte(backup), &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		fields[name] = nil
	}
	fields[other] = secret[other]
	lost, err := json.Marshal(map[string]any{"data": fields})
	if err != nil {
		t.Fatal(err)
	}
	patchSecret(t, s, string(lost))
	eventually(t, func(ctx context.Context) error {
		events, err := s.Client().EventsV1().Events(before.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=KeyLost,regarding.uid=" + string(before.UID)})
		if err == nil && (len(events.Items) != 1 || !strings.Contains(events.Items[0].Note, "sealed with key "+keyOf(before.Annotations))) {
			err = fmt.Errorf("no Event tells that the key is lost: %v", events.Items)
		}
		return err
	})
	saysMetric(t, s, "heteroaccel_webhook_key_lost_pods", 1)
	eventually(t, func(ctx context.Context) error { // the extender reads the Secret too
		said, err := stack.Get(ctx, s.URL("extender", "/pods/default/"+before.Name))
		if err == nil || !strings.Contains(err.Error()+said, "was sealed with key "+keyOf(before.Annotations)) {
			err = fmt.Errorf("the pod's page says %s, %v", said, err)
		} else {
			err = nil
		}
		return err
	})

	// It is found again in the backup, and the pod counts as ours as before.
	patchSecret(t, s, `{"data":`+backup+`}`)
	saysMetric(t, s, "heteroaccel_webhook_key_lost_pods", 0)
	vacate(t, s, npu)
	after, _ := runsOn(t, s, "NPU")
	deleteOwner(t, s, waitingOwners["bare pod"])
	if keyOf(after.Annotations) == "" {
		t.Error("the pod has no record")
	}

	// Without a backup it keeps waiting for its kind, and gets that.
	npu = occupy(t, s, stickResource)
	before = waitsFor(t, s, waitingOwners["bare pod"], "GPU")
	fields[other] = nil
	fields["key-99991231T235959Z-third"] = strings.Repeat("Sk", 21) + "Q="
	if lost, err = json.Marshal(map[string]any{"data": fields}); err != nil {
		t.Fatal(err)
	}
	patchSecret(t, s, string(lost))
	saysMetric(t, s, "heteroaccel_webhook_key_lost_pods", 1)
	vacate(t, s, npu)
	vacate(t, s, gpu)
	after, _ = runsOn(t, s, "GPU")
	if after.UID != before.UID {
		t.Error("a pod whose key is lost was recreated")
	}
}
