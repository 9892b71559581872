//go:build long

package e2e

import (
	"bytes"
	"testing"

	"heteroaccel.io/e2e/stack"
)

const long = true

// start makes the test a parallel one and runs an installation of its own for it,
// which it may leave as it likes.
func start(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	turn(t, t.Name())
	var out bytes.Buffer
	cfg.Out = &out
	s, err := launch(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start the cluster: %v\n%s", err, out.String())
	}
	t.Cleanup(func() {
		noRaces(t, s)
		s.Stop()
	})
	return s
}
