package e2e

import (
	"fmt"
	"testing"

	"heteroaccel.io/e2e/stack"
)

// nearNode: who asks the connector of a node for a server nearby gets that node's
// device while it is free, and else another node's.
func nearNode(t *testing.T, s *stack.Stack) {
	cameras := []camera{{s, "connector"}}
	for i, name := range []string{"connector-1", "connector-2"} {
		if err := s.StartConnector(t.Context(), name, fmt.Sprintf("--node-name=node-%03d", i+1),
			"--idle-timeout=1s", "--max-requests-per-second=1000", "--max-requests-burst=1000"); err != nil {
			t.Fatal(err)
		}
		defer s.Process(name).Kill()
		cameras = append(cameras, camera{s, name})
	}
	for _, accelerator := range []string{"any", "gpu"} {
		ask := fmt.Sprintf(`{"inference":"face-recognition","accelerator":%q,"near":"node"}`, accelerator)
		for i, c := range cameras {
			node := fmt.Sprintf("node-%03d", i)
			first := c.create(t, ask, true)
			if first.Node != node || first.Kind != "GPU" {
				t.Errorf("%s, with every device free: %s on %s, want the GPU of %s: %s", accelerator, first.Kind, first.Node, node, first.Reason)
			}
			second := c.create(t, ask, true)
			if second.Node == node && second.Kind == "GPU" {
				t.Errorf("both have the GPU of %s", node)
			}
			t.Logf("%s, near %s: %s of %s, then %s of %s", accelerator, node, first.Kind, first.Node, second.Kind, second.Node)
			c.end(t, first.ID)
			c.end(t, second.ID)
			noServers(t, s)
		}
	}
}
