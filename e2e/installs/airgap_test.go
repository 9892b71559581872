//go:build cluster

package installs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/image"
	"heteroaccel.io/e2e/stack"
)

// airGapped installs the bundle of a release where no node has the image, and no registry
// is reached, with the commands of docs/release.md.
func airGapped(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "1764158400")
	// Commands have a HOME of their own, and would compile everything anew.
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		at, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, strings.TrimSpace(string(at)))
	}
	run(t, fmt.Sprintf("go run ./deploy/release -platform linux/%s -out %s/release", runtime.GOARCH, dir))
	at := filepath.Join(dir, "site")
	run(t, fmt.Sprintf("mkdir %s && mv %s/release/heteroaccel-v0.1.0-airgap-linux-%s.tar %[1]s", at, dir, runtime.GOARCH))
	for name, node := range shared.Nodes {
		out, err := node.Command(t.Context(), "ctr", "--address=/run/containerd/containerd.sock", "--namespace=k8s.io",
			"images", "rm", "--sync", "docker.io/heteroaccel/heteroaccel:"+image.Version).CombinedOutput()
		if err != nil {
			t.Fatalf("remove the image from node %s: %v: %s", name, err, out)
		}
	}
	nodesCtr(t)
	was := objects(t)
	const section = "Without a network"
	script := strings.Join(commands(t, "docs/release.md", section), "\n")
	runIn(t, at, strings.ReplaceAll(script, "linux-amd64", "linux-"+runtime.GOARCH))
	configureScheduler(t)
	webhookReached(t)
	bundle := filepath.Join(at, "heteroaccel-v0.1.0-airgap-linux-"+runtime.GOARCH)
	if said := runIn(t, bundle, "./heteroaccel check --wait 2m"); !strings.Contains(said, " 0 wrong, 0 not checked\n") {
		t.Errorf("the check reports\n%s", said)
	}
	pod := readmeRuns(t, shared.Root)
	// The extender's pages are read by a port that a kubelet forwards.
	for command, want := range map[string]string{"nodes": "HELD BY", "explain " + pod.Name: "pod          default/" + pod.Name, "top -o wide": "SLOTS", "queue": "\n"} {
		if said := runIn(t, bundle, "./heteroaccel "+command); !strings.Contains(said, want) {
			t.Errorf("heteroaccel %s prints no %q, but\n%s", command, want, said)
		}
	}
	noRestarts(t)
	nothingPulled(t)
	removed(t, "With Helm", was, pod)
}

// nodesCtr has the programs sudo and ctr be what they are on each node, one after another.
// The bundle is a directory of this computer's, which its nodes see too.
func nodesCtr(t *testing.T) {
	t.Helper()
	ctr, err := exec.LookPath("ctr") // in a node the first of the PATH is ours
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/bash -eu\nargs=()\nfor a; do [[ -f $a ]] && a=$PWD/$a; args+=(\"$a\"); done\n"
	for _, node := range shared.Nodes {
		enter := node.Command(t.Context(), ctr, "--address=/run/containerd/containerd.sock").Args
		script += strings.Join(enter, " ") + " \"${args[@]}\"\n"
	}
	for name, text := range map[string]string{"ctr": script, "sudo": "#!/bin/bash -eu\nexec \"$@\"\n"} {
		path := filepath.Join(tools, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(path) })
	}
}

// nothingPulled: no image of ours was asked of a registry.
func nothingPulled(t *testing.T) {
	t.Helper()
	present := 0
	for _, namespace := range []string{stack.Namespace, stack.ExporterNamespace} {
		eventually(t, "the kubelets tell of images in "+namespace, func(ctx context.Context) error {
			events, err := shared.Client().CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Pulled"})
			if err != nil {
				return err
			}
			for _, e := range events.Items {
				if !strings.Contains(e.Message, "already present") {
					t.Fatalf("%s: %s", e.InvolvedObject.Name, e.Message)
				}
				present++
			}
			if present == 0 {
				return fmt.Errorf("no Event does")
			}
			return nil
		})
		events, err := shared.Client().CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=Pulling"})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events.Items {
			t.Errorf("%s: %s", e.InvolvedObject.Name, e.Message)
		}
	}
}
