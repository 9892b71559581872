//go:build cluster

package nodes_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/nodes"
	"heteroaccel.io/e2e/poll"
)

// victimVariable tells this program to be the one that is killed, once it has said this.
const victimVariable = "HETEROACCEL_VICTIM"

// networkMade is said when there is nothing but the network yet.
const networkMade = "the network is made"

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		if err := victim(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// start brings up a control plane with the paper's nodes, without any image.
func start(ctx context.Context) (stop func() error, err error) {
	binaries, err := cluster.Build(ctx, cluster.BuildOptions{Nodes: true})
	if err != nil {
		return nil, err
	}
	root, err := cluster.Root()
	if err != nil {
		return nil, err
	}
	programs := filepath.Join(root, "bin", "nodes")
	if err := cluster.BuildPrograms(ctx, programs, cluster.ProgramOptions{Static: true}, "e2e/nodes/nodeinit", "e2e/nodes/janitor"); err != nil {
		return nil, err
	}
	site, err := nodes.Open(ctx, nodes.Config{Binaries: binaries, Programs: programs, Pause: "none"})
	if err != nil {
		return nil, err
	}
	fmt.Println(networkMade)
	if os.Getenv(victimVariable) == networkMade {
		select {} // the directory of a control plane that is about to start is the next one's to sweep
	}
	c, err := cluster.Start(ctx, cluster.Config{Binaries: binaries, At: site.Place()})
	if err != nil {
		return nil, errors.Join(err, site.Close())
	}
	stop = func() error {
		c.Stop()
		return site.Close()
	}
	if err := errors.Join(site.Sweep(c.Dir()), site.StartProxy(c)); err != nil {
		return nil, errors.Join(err, stop())
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range machine.Paper() {
		group.Go(func() error {
			_, err := site.Start(ctx, c, m, nodes.Debian)
			return err
		})
	}
	fmt.Println("the nodes start")
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, stop())
	}
	fmt.Println("the nodes are ready")
	return stop, nil
}

// victim starts the nodes and waits to be killed.
func victim() error {
	if _, err := start(context.Background()); err != nil {
		return err
	}
	select {}
}

// TestNoTrace: whether the program stops them, is interrupted, or is killed at
// any time, nothing of the nodes is left.
func TestNoTrace(t *testing.T) {
	// What another program has left in /tmp is none of ours.
	t.Setenv("TMPDIR", t.TempDir())
	before := traces(t)
	if len(before) > 0 {
		t.Fatalf("there is something of another cluster's: %s", before)
	}
	t.Run("stopped", func(t *testing.T) {
		stop, err := start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(traces(t)) == 0 {
			t.Error("nothing is found of nodes that run: this test could not fail")
		}
		if _, err := nodes.Open(t.Context(), nodes.Config{}); err == nil || !strings.Contains(err.Error(), "another cluster") {
			t.Errorf("a second site on this computer: %v", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		noTrace(t)
	})
	for _, said := range []string{networkMade, "the nodes start", "the nodes are ready"} {
		t.Run("killed when "+said, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), victimVariable+"="+said)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != said {
			}
			if lines.Text() != said {
				t.Errorf("it ended before %q", said)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			noTrace(t)
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		if stop, err := start(ctx); err == nil {
			// Quicker than that: it is stopped as any.
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
		noTrace(t)
	})
}

// noTrace waits until nothing is left.
func noTrace(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := poll.Until(ctx, func(context.Context) error {
		if left := traces(t); len(left) > 0 {
			return errors.New(strings.Join(left, "\n"))
		}
		return nil
	})
	if err != nil {
		t.Errorf("left behind:\n%v", err)
	}
}

// traces are what of nodes can be seen on this computer.
func traces(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{
		filepath.Join(os.TempDir(), "heteroaccel-*"), "/sys/fs/cgroup/*/heteroaccel-*", "/sys/fs/cgroup/heteroaccel-*",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "heteroaccel") {
			out = append(out, "mount "+strings.TrimSpace(line))
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if strings.HasPrefix(i.Name, "heteroaccel") {
			out = append(out, "network device "+i.Name)
		}
	}
	return append(out, processes(t)...)
}

// processes are those in namespaces of nodes, and those with a directory of
// theirs on the command line. The dead that nobody has waited for do not
// count: they are their parent's to bury.
func processes(t *testing.T) []string {
	t.Helper()
	var out []string
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		command, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		line := strings.ReplaceAll(string(command), "\x00", " ")
		for _, word := range []string{"/bin/nodes/", filepath.Join(os.TempDir(), "heteroaccel-")} {
			if strings.Contains(line, word) {
				out = append(out, fmt.Sprintf("process %d: %.80s", pid, line))
				break
			}
		}
	}
	return out
}
