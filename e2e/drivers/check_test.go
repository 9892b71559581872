//go:build cluster

package drivers

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/e2e/cluster"
)

// TestCheck: the check says that pods are bound late, that kube-scheduler need not ask the
// extender for it, and of one node that its container runtime has no CDI; nothing else is
// wrong.
func TestCheck(t *testing.T) {
	program := filepath.Join(t.TempDir(), "heteroaccel")
	if err := cluster.BuildStatic(t.Context(), "cli", program, cluster.Static{}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "check", "-o", "json", "--kubeconfig", shared.Kubeconfig())
	out, err := cmd.Output() // it ends with an error, as something is wrong
	var report struct{ Lines []check.Line }
	if wrong := json.Unmarshal(out, &report); wrong != nil {
		t.Fatalf("%v, %v: %s", err, wrong, out)
	}
	want := map[string]string{
		"late binding": "pods of 4 profiles are bound late",
		"scheduler":    "it need not ask the extender: devices are free for pods that are bound late alone",
	}
	for _, l := range report.Lines {
		lacksCDI := l.Check == "driver" && strings.HasPrefix(l.Message, "nothing is published on node "+old+": ")
		switch {
		case lacksCDI != (l.Result == check.Wrong), l.Result == check.NotChecked:
			t.Errorf("%s is %s: %s", l.Check, l.Result, l.Message)
		case want[l.Check] != "" && l.Message != want[l.Check]:
			t.Errorf("%s: %q, want %q", l.Check, l.Message, want[l.Check])
		}
	}
	for name := range want {
		if !slices.ContainsFunc(report.Lines, func(l check.Line) bool { return l.Check == name }) {
			t.Errorf("nothing is said of %s:\n%s", name, out)
		}
	}
}
