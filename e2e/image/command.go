package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// missing says how to get a program that is not there.
var missing = map[string]string{
	"apt-get":  "the images' packages are Debian's: build them on a machine with Debian 12, where apt-get is",
	"dpkg-deb": "the images' packages are Debian's: build them on a machine with Debian 12, where dpkg-deb is",
	"python3":  "install Python 3 with pip (on Debian: apt-get install python3-pip)",
}

// run runs a program of the host in dir and hands its standard output to
// stdout, if that is not nil. When ctx ends the program ends with all it
// started. The error has what the program said last.
func run(ctx context.Context, dir string, stdout io.Writer, name string, args ...string) error {
	if _, err := exec.LookPath(name); err != nil {
		return fmt.Errorf("%s was not found: %s", name, missing[name])
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, stdout, &said
	if stdout == nil {
		cmd.Stdout = &said
	}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s was interrupted: %w", name, context.Cause(ctx))
	case err != nil:
		return explain(name, err, said.String())
	}
	return nil
}

// unreachable are words of apt and pip when they cannot download.
var unreachable = []string{
	"Could not resolve", "Temporary failure", "Failed to fetch", "Could not connect", "Connection failed", "Connection timed out",
	"Failed to establish a new connection", "NewConnectionError", "Max retries exceeded", "ReadTimeoutError", "Network is unreachable",
}

// explain makes a sentence of a failed program.
func explain(name string, err error, said string) error {
	all, lines := said, strings.Split(strings.TrimSpace(said), "\n")
	said = strings.Join(lines[max(0, len(lines)-8):], "\n")
	has := func(words string) bool { return strings.Contains(all, words) }
	for _, words := range unreachable {
		if has(words) {
			return fmt.Errorf("%s could not download: check the network connection and the configuration of %s, then try again\n%s", name, name, said)
		}
	}
	switch {
	case has("No space left on device"):
		return fmt.Errorf("the disk is full: free about 2 GB and try again\n%s", said)
	case has("No module named pip"):
		return errors.New("python3 has no pip: install it (on Debian: apt-get install python3-pip)")
	case has("Unable to locate package"), has("has no installation candidate"):
		return fmt.Errorf("apt-get does not know a package of the images: they are those of Debian 12, build the images there\n%s", said)
	case has("No matching distribution found"):
		return fmt.Errorf("pip did not find a wheel that the images need: check the network connection, and that pip's index has it\n%s", said)
	}
	return fmt.Errorf("%s: %w\n%s", name, err, said)
}
