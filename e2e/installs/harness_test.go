//go:build cluster

package installs

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/certmanager"
	"heteroaccel.io/e2e/chart"
	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/image"
	"heteroaccel.io/e2e/pages"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/previous"
	"heteroaccel.io/e2e/realnodes"
	"heteroaccel.io/e2e/stack"
)

// shared is the cluster that the tests use in turn, and tools the directory with the
// programs that the pages call.
var (
	shared *realnodes.Cluster
	tools  string
)

func TestMain(m *testing.M) {
	code, err := start(context.Background(), m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func start(ctx context.Context, m *testing.M) (code int, err error) {
	h, err := chart.InstallHelm(ctx)
	if err != nil {
		return 1, err
	}
	shared, err = realnodes.Start(ctx, realnodes.Config{
		Out:    os.Stdout,
		Images: []image.ID{image.HeteroAccel, image.Pause, image.DevicePlugin, image.DNS, image.Inference},
	})
	if err != nil {
		return 1, err
	}
	defer func() {
		if stop := shared.Stop(); err == nil {
			err = stop
		}
	}()
	for _, step := range []func(context.Context) error{
		shared.Install, shared.Ready, nameImages, giveBefore,
		func(ctx context.Context) error { return certmanager.Install(ctx, shared.Cluster) },
		// As "make build" does.
		func(ctx context.Context) error {
			return cluster.BuildStatic(ctx, "cli", filepath.Join(shared.Root, "bin", "heteroaccel"), cluster.Static{})
		},
	} {
		if err := step(ctx); err != nil {
			return 1, err
		}
	}
	tools = filepath.Join(shared.Dir(), "tools")
	if err := os.Mkdir(tools, 0o755); err != nil {
		return 1, err
	}
	for name, path := range map[string]string{"kubectl": shared.KubectlPath(), "helm": h.Path()} {
		if err := os.Symlink(path, filepath.Join(tools, name)); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// nameImages gives the nodes our image under the name that the pages' registry has for it,
// and with the tag of their upgrade.
func nameImages(ctx context.Context) error {
	const ours = "heteroaccel/heteroaccel:"
	for name, node := range shared.Nodes {
		for _, tag := range []string{image.Version, upgradedTag} {
			out, err := node.Command(ctx, "ctr", "--address=/run/containerd/containerd.sock", "--namespace=k8s.io",
				"images", "tag", "docker.io/"+ours+image.Version, "registry.example/"+ours+tag).CombinedOutput()
			if err != nil {
				return fmt.Errorf("name the image on node %s: %w: %s", name, err, out)
			}
		}
	}
	return nil
}

// before is the revision that installations are upgraded from, and beforeImage its image.
var before previous.Revision

const (
	beforeTag   = "v0.0.9"
	beforeImage = "heteroaccel/heteroaccel:" + beforeTag
)

// giveBefore gives the nodes the image of the revision before.
func giveBefore(ctx context.Context) (err error) {
	if before, err = previous.Build(ctx, os.Stdout); err != nil {
		return err
	}
	images, err := image.Build(ctx, image.Options{Programs: before.Programs, Tag: beforeTag, Out: os.Stdout}, image.HeteroAccel)
	if err != nil {
		return err
	}
	for _, node := range shared.Nodes {
		if err := node.Import(ctx, images[image.HeteroAccel].Path); err != nil {
			return err
		}
	}
	return nil
}

// follow runs the commands of a section of a page that this test is named above, in the
// repository's root, and returns what they print.
func follow(t *testing.T, page, section string) string {
	t.Helper()
	var said strings.Builder
	for _, line := range commands(t, page, section) {
		said.WriteString(run(t, line))
	}
	return said.String()
}

// commands are those of a section of a page that this test is named above.
func commands(t *testing.T, page, section string) (lines []string) {
	t.Helper()
	blocks, _, err := pages.Read(shared.Root, page)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		tests, _, _ := b.Tests()
		if b.Section != section || !slices.Contains(tests, "TestInstalls") {
			continue
		}
		commands, err := b.Commands()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			lines = append(lines, c.Text)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("%s has no commands for this test in %q", page, section)
	}
	return lines
}

// run runs a command line as somebody who administers the cluster.
func run(t *testing.T, line string) string {
	t.Helper()
	return runIn(t, shared.Root, line)
}

// runIn runs command lines in a directory.
func runIn(t *testing.T, dir, line string) string {
	t.Helper()
	begin := time.Now()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig(), "PATH="+tools+":"+os.Getenv("PATH"), "HOME="+shared.Dir())
	out, err := cmd.CombinedOutput()
	t.Logf("$ %s\n(%s) %s", line, time.Since(begin).Round(100*time.Millisecond), out)
	if err != nil {
		explain(t)
		t.Fatal(err)
	}
	return string(out)
}

// webhookReached waits until the webhook's Service leads to it from the control plane. Where
// its pods are ready and kube-proxy has no rules for that, kube-proxy is started anew: it is
// not what is tested here, and its log is kept.
func webhookReached(t *testing.T) {
	t.Helper()
	if err := shared.Rollout(t.Context(), stack.Namespace, "deployment/heteroaccel-webhook"); err != nil {
		explain(t)
		t.Fatal(err)
	}
	reach := func(ctx context.Context) error {
		service, err := shared.Client().CoreV1().Services(stack.Namespace).Get(ctx, "heteroaccel-webhook", metav1.GetOptions{})
		if err != nil {
			return err
		}
		conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(service.Spec.ClusterIP, "443"))
		if err != nil {
			return fmt.Errorf("reach the webhook's Service: %w", err)
		}
		return conn.Close()
	}
	if err := poll.Within(t.Context(), 45*time.Second, reach); err != nil {
		t.Logf("%v; kube-proxy is started anew\n%s", err, shared.Services(t.Context()))
		shared.Process("kube-proxy").Kill()
		eventually(t, "the webhook's Service leads to it", reach)
	}
}

// explain logs what may tell why an installation does not work.
func explain(t *testing.T) {
	t.Helper()
	for _, args := range []string{
		"get pods -A -o wide", "get events -A --sort-by=.lastTimestamp",
		"-n heteroaccel-system logs --tail=30 --prefix -l app.kubernetes.io/name=heteroaccel-webhook",
		"-n heteroaccel-system logs --tail=30 --prefix -l app.kubernetes.io/name=heteroaccel-extender",
	} {
		said, _ := shared.Kubectl(context.Background(), strings.Fields(args)...) // it repeats its errors in what it said
		t.Logf("$ kubectl %s\n%s", args, said)
	}
	t.Log(shared.Services(context.Background()))
}

// eventually fails the test, with what the cluster looks like, unless try succeeds in time.
func eventually(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	if err := shared.Wait(t.Context(), try); err != nil {
		explain(t)
		t.Fatalf("%s: %v", what, err)
	}
}
