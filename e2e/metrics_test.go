package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// metricsDocumented: every metric of ours that a program serves is in the
// reference. That the reference has no other is tested on the code.
func metricsDocumented(t *testing.T, s *stack.Stack) {
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"webhook status", "extender status", "exporter-g"} {
		text, err := stack.Get(t.Context(), s.URL(program, "/metrics"))
		if err != nil {
			t.Fatal(err)
		}
		served := 0
		for line := range strings.Lines(text) {
			rest, ok := strings.CutPrefix(line, "# TYPE heteroaccel_")
			if !ok {
				continue
			}
			served++
			if name := "heteroaccel_" + strings.Fields(rest)[0]; !strings.Contains(string(page), name) {
				t.Errorf("docs/metrics.md does not have %s, of the %s", name, program)
			}
		}
		if served == 0 {
			t.Errorf("%s serves no metric of ours", program)
		}
	}
}
