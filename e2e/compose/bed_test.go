//go:build cluster

package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/pages"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/process"
	"heteroaccel.io/pkg/accel"
)

// limit is how long anything that is waited for may take on a busy computer.
const limit = 3 * time.Minute

// bed is an engine with the images, and with the project of the test, which no other is
// called like.
type bed struct {
	*Engine
	root string
}

const project = "heteroaccel-test"

// start starts an engine, and sees to it that it ends.
func start(t *testing.T) *bed {
	t.Helper()
	t.Setenv("COMPOSE_PROJECT_NAME", project)
	t.Setenv("IMAGE_PROMETHEUS", "heteroaccel/prometheus:v0.1.0")
	program, err := Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	images, err := Images(t.Context(), filepath.Join(root, "bin", "images"), nil)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := Start(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if log, err := os.ReadFile(engine.Log()); err == nil && t.Failed() {
			t.Logf("the engine's log:\n%s", process.Tail(string(log), 60))
		}
		if err := engine.Stop(); err != nil {
			t.Error(err)
		}
	})
	began := time.Now()
	if err := engine.Load(t.Context(), images); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d images loaded in %s", len(images), time.Since(began).Round(time.Second))
	return &bed{engine, root}
}

// compose runs docker compose.
func (b *bed) compose(ctx context.Context, stdin string, args ...string) (string, error) {
	return b.Run(ctx, strings.NewReader(stdin), "docker", append([]string{"compose", "--project-directory", b.root}, args...)...)
}

func (b *bed) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := b.compose(t.Context(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// container is a line of docker compose ps.
type container struct {
	ID, Service, State, Health string
	ExitCode                   int
}

func (b *bed) containers(t *testing.T) map[string]container {
	t.Helper()
	all := map[string]container{}
	for line := range strings.Lines(b.must(t, "ps", "--all", "--no-trunc", "--format", "json")) {
		var c container
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all[c.Service] = c
	}
	return all
}

// kubectl runs kubectl as the page does.
func (b *bed) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return b.compose(ctx, stdin, append([]string{"run", "--rm", "-T", "kubectl"}, args...)...)
}

// gets waits until the pod of a Job runs on an accelerator.
func (b *bed) gets(t *testing.T, job string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := poll.Until(ctx, func(ctx context.Context) error {
		out, err := b.kubectl(ctx, "", "get", "pods", "--selector", "batch.kubernetes.io/job-name="+job, "--output", "json")
		if err != nil {
			return err
		}
		var list corev1.PodList
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("the Job %s has %d pods", job, len(list.Items))
		}
		p := list.Items[0]
		if p.Annotations[accel.SelectedAnnotation] == "" || p.Spec.NodeName == "" || p.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("its pod is %s on node %q with the kind %q", p.Status.Phase, p.Spec.NodeName, p.Annotations[accel.SelectedAnnotation])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// job is the README's, under another name.
func (b *bed) job(t *testing.T, name string) {
	t.Helper()
	blocks, _, err := pages.Read(b.root, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(blocks, func(b pages.Block) bool { return b.Language == "yaml" && strings.Contains(b.Text, "kind: Job\n") })
	if i < 0 {
		t.Fatal("the README has no Job")
	}
	var job batchv1.Job
	if err := yaml.UnmarshalStrict([]byte(blocks[i].Text), &job); err != nil {
		t.Fatal(err)
	}
	job.Name = name
	manifest, err := yaml.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.kubectl(t.Context(), string(manifest), "create", "--filename", "-"); err != nil {
		t.Fatal(err)
	}
	b.gets(t, name)
}
