//go:build cluster

package compose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/pages"
	"heteroaccel.io/e2e/poll"
)

// TestCompose does what docs/install.md says, and what the page does not show.
func TestCompose(t *testing.T) {
	b := start(t)
	// What is left of an interrupted run is no part of this one.
	b.must(t, "--profile", "*", "down", "--volumes", "--remove-orphans")
	t.Cleanup(func() {
		if t.Failed() {
			out, err := b.compose(context.WithoutCancel(t.Context()), "", "logs", "--tail", "40", "--no-color")
			t.Logf("the logs: %v\n%s", err, out)
		}
		if _, err := b.compose(context.WithoutCancel(t.Context()), "", "--profile", "*", "down", "--volumes", "--timeout", "5"); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []struct {
		name string
		run  func(*testing.T, *bed)
	}{
		{"up", func(t *testing.T, b *bed) { b.must(t, "up", "--wait") }},
		{"all are healthy", allHealthy},
		{"the page's commands", pageCommands},
		{"the README's Job", readmesJob},
		{"a service is restarted", restarted},
		{"up once more", upAgain},
		{"Prometheus", observed},
		{"down", down},
	} {
		began := time.Now()
		if !t.Run(step.name, func(t *testing.T) { step.run(t, b) }) {
			return // the next step builds on it
		}
		t.Logf("%s: %s", step.name, time.Since(began).Round(100*time.Millisecond))
	}
}

// allHealthy: what should run does, and what should end ended well.
func allHealthy(t *testing.T, b *bed) {
	got := map[string]string{}
	for name, c := range b.containers(t) {
		got[name] = c.State + " " + c.Health
		if c.ExitCode != 0 {
			got[name] = fmt.Sprintf("%s with %d", c.State, c.ExitCode)
		}
	}
	want := map[string]string{}
	for _, name := range standing {
		want[name] = "running healthy"
	}
	for _, name := range steps {
		want[name] = "exited "
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

// pageCommands runs the commands of the page's section, in its order, and compares what
// it shows of their output.
func pageCommands(t *testing.T, b *bed) {
	blocks, _, err := pages.Read(b.root, "docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range blocks {
		if tests, _, _ := block.Tests(); !slices.Contains(tests, "TestCompose") {
			continue
		}
		commands, err := block.Commands()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			if c.Text == "make images" || strings.Contains(c.Text, " down ") {
				continue // done before, and the last step's
			}
			ran++
			out, err := b.Run(t.Context(), nil, "bash", "-euo", "pipefail", "-c", "cd "+b.root+"; "+c.Text)
			if err != nil {
				t.Fatal(err)
			}
			if missing, ok := c.Shown(out); !ok {
				t.Errorf("%s does not print %q, which the page shows, but:\n%s", c.Text, missing, out)
			}
		}
	}
	if ran < 5 {
		t.Errorf("only %d commands of the page were run", ran)
	}
}

func readmesJob(t *testing.T, b *bed) { b.job(t, "find-faces") }

// restarted: after any service is restarted the others go on by themselves.
func restarted(t *testing.T, b *bed) {
	for _, name := range []string{"webhook", "kube-apiserver"} {
		b.must(t, "restart", name)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		err := poll.Until(ctx, func(context.Context) error {
			var bad []error
			for service, c := range b.containers(t) {
				if slices.Contains(standing, service) && c.Health != "healthy" {
					bad = append(bad, fmt.Errorf("%s is %s %s", service, c.State, c.Health))
				}
			}
			return errors.Join(bad...)
		})
		cancel()
		if err != nil {
			t.Fatalf("after the restart of %s: %v", name, err)
		}
		job := "after-" + name
		b.job(t, job)
		if _, err := b.kubectl(t.Context(), "", "delete", "job", job); err != nil { // its device is the next one's
			t.Fatal(err)
		}
	}
}

// upAgain: a second up starts nothing anew that runs, and keeps the certificates and the
// pods.
func upAgain(t *testing.T, b *bed) {
	before := b.containers(t)
	b.must(t, "up", "--wait")
	allHealthy(t, b)
	for name, c := range b.containers(t) {
		if slices.Contains(standing, name) && c.ID != before[name].ID {
			t.Errorf("%s is another container", name)
		}
	}
	b.gets(t, "find-faces")
}

// observed: Prometheus scrapes everything.
func observed(t *testing.T, b *bed) {
	b.must(t, "--profile", "observability", "up", "--wait", "prometheus")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := poll.Until(ctx, func(ctx context.Context) error {
		out, err := b.Run(ctx, nil, "curl", "-sS", "http://127.0.0.1:9090/api/v1/query?query=up")
		if err != nil {
			return err
		}
		if up := strings.Count(out, `,"1"]`); up != 6 {
			return fmt.Errorf("Prometheus reaches %d targets of 6: %s", up, out)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// down: nothing is left of the project.
func down(t *testing.T, b *bed) {
	b.must(t, "--profile", "observability", "down", "--volumes")
	for what, args := range map[string][]string{
		"container": {"ps", "--all"}, "volume": {"volume", "ls"}, "network": {"network", "ls"},
	} {
		out, err := b.Run(t.Context(), nil, "docker", append(args, "--quiet", "--filter", "label=com.docker.compose.project="+project)...)
		if err != nil {
			t.Fatal(err)
		}
		if out != "" {
			t.Errorf("a %s is left: %s", what, out)
		}
	}
}
