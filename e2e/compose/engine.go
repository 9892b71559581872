package compose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/image"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/process"
)

// Engine is a running Docker engine, with the commands docker and docker compose.
type Engine struct {
	dir    string   // of our own files
	lock   *os.File // held while the engine runs
	socket string   // "" for that of the engine that ran already
	daemon *process.Process
}

// startLimit is how long the engine may take to start on a busy computer.
const startLimit = 2 * time.Minute

// Start uses the engine that runs on this computer, or starts one in kernel namespaces
// of its own, which needs root. compose is the program that Install returned.
func Start(ctx context.Context, compose string) (_ *Engine, err error) {
	e := &Engine{}
	if e.dir, e.lock, err = cluster.WorkDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Stop())
		}
	}()
	plugins := filepath.Join(e.dir, "config", "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		return nil, fmt.Errorf("make the engine's directory: %w", err)
	}
	if err := os.Symlink(compose, filepath.Join(plugins, "docker-compose")); err != nil {
		return nil, fmt.Errorf("install Compose: %w", err)
	}
	if e.answers(ctx) == nil {
		return e, nil
	}
	return e, e.start(ctx)
}

// start starts an engine that shares no network, mount and file with the computer.
func (e *Engine) start(ctx context.Context) error {
	e.socket = filepath.Join(e.dir, "docker.sock")
	args := []string{
		"--host=unix://" + e.socket, "--data-root=" + filepath.Join(e.dir, "data"), "--exec-root=" + filepath.Join(e.dir, "run"),
		"--pidfile=" + filepath.Join(e.dir, "docker.pid"), "--cgroup-parent=/" + cgroup, "--config-file=" + filepath.Join(e.dir, "daemon.json"),
	}
	if err := os.WriteFile(filepath.Join(e.dir, "daemon.json"), []byte("{}\n"), 0o600); err != nil {
		return fmt.Errorf("configure the engine: %w", err)
	}
	if _, err := exec.LookPath("dockerd"); err != nil {
		return errors.New("no Docker engine runs, and dockerd was not found: on Debian, apt-get install docker.io")
	}
	var err error
	e.daemon, err = process.Start(process.Spec{
		Name: "dockerd", Path: "unshare", Args: append([]string{"--mount-proc", "--", "sh", "-c", private, "sh"}, args...), Log: filepath.Join(e.dir, "dockerd.log"),
		// With the first process of its namespace every container ends.
		Namespaces: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
	})
	if err != nil {
		return err
	}
	if err := e.loopback(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return poll.Until(ctx, func(ctx context.Context) error {
		if e.daemon.Ended() {
			cancel()
			return e.daemon.Died()
		}
		return e.answers(ctx)
	})
}

// private starts the engine with directories of its own where it would else write, or find
// a containerd that sees other mounts.
const private = `
set -e
mount -t tmpfs none /run
if [ -d /etc/docker ]; then mount -t tmpfs none /etc/docker; fi
exec dockerd "$@"`

// cgroup is the control group of our own engine's containers.
const cgroup = "heteroaccel-compose"

// loopback brings up the loopback device of the engine's network, on which it publishes
// ports.
func (e *Engine) loopback() error {
	ns, err := netns.GetFromPid(e.daemon.PID())
	if err != nil {
		return fmt.Errorf("open the engine's network: %w", err)
	}
	defer ns.Close()
	handle, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("open the engine's network: %w", err)
	}
	defer handle.Close()
	lo, err := handle.LinkByName("lo")
	if err == nil {
		err = handle.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("bring up the engine's loopback device: %w", err)
	}
	return nil
}

// answers returns nil once the engine answers.
func (e *Engine) answers(ctx context.Context) error {
	_, err := e.Run(ctx, nil, "docker", "version", "--format", "{{.Server.Version}}")
	return err
}

// Load gives the engine images.
func (e *Engine) Load(ctx context.Context, images []image.Image) error {
	for _, i := range images {
		if _, err := e.Run(ctx, nil, "docker", "load", "--quiet", "--input", i.Path); err != nil {
			return err
		}
	}
	return nil
}

// Run runs a command where the engine is: docker talks to it, and curl reaches the ports
// that it publishes. It returns what the command prints, and an error that has what it
// complains of.
func (e *Engine) Run(ctx context.Context, stdin io.Reader, name string, args ...string) (string, error) {
	if e.daemon != nil && name != "docker" {
		name, args = "nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", e.daemon.PID()), "--", name}, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+filepath.Join(e.dir, "config"), "COMPOSE_ANSI=never", "COMPOSE_PROGRESS=plain")
	if e.socket != "" {
		cmd.Env = append(cmd.Env, "DOCKER_HOST=unix://"+e.socket)
	}
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, process.Tail(stdout.String()+stderr.String(), 30))
	}
	return stdout.String(), nil
}

// Log is the path of our own engine's log, "" for one that ran already.
func (e *Engine) Log() string {
	if e.daemon == nil {
		return ""
	}
	return e.daemon.Log()
}

// Stop ends the engine, if it is our own, with everything it has.
func (e *Engine) Stop() error {
	if e.daemon != nil {
		e.daemon.StopWithin(time.Minute)
	}
	return errors.Join(os.RemoveAll(e.dir), e.lock.Close(), removeCgroups())
}

// removeCgroups removes the control groups of our engine's containers, the innermost
// first. They are empty: no container is left.
func removeCgroups() error {
	groups, err := filepath.Glob("/sys/fs/cgroup/*/" + cgroup)
	if err != nil {
		return fmt.Errorf("look for the engine's control groups: %w", err)
	}
	for _, group := range append(groups, "/sys/fs/cgroup/"+cgroup) {
		var dirs []string
		err := filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for the engine's control groups: %w", err)
		}
		for _, dir := range slices.Backward(dirs) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove the engine's control group: %w", err)
			}
		}
	}
	return nil
}
