//go:build long

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// TestLateCheck: where the exporters are the driver of every kind and nothing else serves
// devices, the check finds everything in order, and names a DeviceClass that has none.
func TestLateCheck(t *testing.T) {
	var out bytes.Buffer
	s, err := launch(t.Context(), stack.Config{Out: &out, Late: true, Drive: true, Machines: machine.OnDRA(machine.Paper()), Webhook: []string{"--binding=auto"}})
	if err != nil {
		t.Fatalf("start the cluster: %v\n%s", err, out.String())
	}
	t.Cleanup(func() { noRaces(t, s); s.Stop() })
	playWorkloads(t, s)
	says(t, s, check.OK, "late binding", "pods of 4 profiles are bound late")
	eventually(t, func(ctx context.Context) error {
		lines, err := look(ctx, s, s.REST())
		if err == nil && slices.ContainsFunc(lines, func(l check.Line) bool { return l.Result != check.OK }) {
			err = fmt.Errorf("not everything is OK:\n%s", report(lines))
		}
		return err
	})
	says(t, s, check.OK, "scheduler", "it need not ask the extender")
	noCanary(t, s)

	if err := s.Client().ResourceV1().DeviceClasses().Delete(t.Context(), "npu.heteroaccel.io", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	says(t, s, check.OK, "late binding", "pods of 0 profiles are bound late; others are bound early, as no node has devices of npu.heteroaccel.io")
	said, err := s.Kubectl(t.Context(), "patch", "inferenceprofile", "face-recognition", "--type=merge", "-p", `{"spec":{"binding":"late"}}`)
	if err != nil {
		t.Fatal(errors.Join(err, errors.New(said)))
	}
	says(t, s, check.Wrong, "late binding", "no node has devices of DeviceClass npu.heteroaccel.io, for which pods of profile face-recognition may wait")
}
