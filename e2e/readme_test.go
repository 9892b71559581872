package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// readme returns the README's YAML examples, by the kind of object.
func readme(t *testing.T) map[string]string {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{}
	for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		for line := range strings.Lines(block) {
			if k, ok := strings.CutPrefix(line, "kind: "); ok {
				examples[strings.TrimSpace(k)] = block
				break
			}
		}
	}
	return examples
}

// readmeWorks types the README's examples as they stand.
func readmeWorks(t *testing.T, s *stack.Stack) {
	examples := readme(t)
	if said, err := s.KubectlInput(t.Context(), examples["Job"], "create", "-f", "-"); err != nil {
		t.Fatalf("the README's Job: %v: %s", err, said)
	}
	eventually(t, func(ctx context.Context) error {
		pods, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{
			LabelSelector: "batch.kubernetes.io/job-name=find-faces",
		})
		if err != nil {
			return err
		}
		if len(pods.Items) != 1 || pods.Items[0].Spec.NodeName == "" {
			return fmt.Errorf("the README's Job has %d pods, or it is not placed", len(pods.Items))
		}
		p := pods.Items[0]
		text, err := stack.Get(ctx, s.URL("extender", "/pods/default/"+p.Name))
		if err == nil && (p.Annotations[accel.SelectedAnnotation] == "" || !strings.Contains(text, "why ")) {
			err = fmt.Errorf("it is not explained: %v\n%s", p.Annotations, text)
		}
		return err
	})
}
