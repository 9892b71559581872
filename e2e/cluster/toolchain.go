package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"heteroaccel.io/e2e/process"
)

// toolchain runs the go command in a module.
type toolchain struct {
	dir string
	env []string
	// line, when set, receives each line of standard error as it comes.
	line func(string)
}

// output runs go with the arguments and returns its standard output. When ctx
// ends, go and the compilers it started end with it. The error is a sentence
// with what go said last.
func (t toolchain) output(ctx context.Context, args ...string) (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", errors.New("the go command was not found: install Go 1.26 or newer and put it on the PATH")
	}
	var stdout bytes.Buffer
	stderr := &lineWriter{each: t.line}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.dir, &stdout, stderr
	cmd.Env = append(os.Environ(), t.env...)
	err := run(cmd)
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("go %s was interrupted: %w", args[0], context.Cause(ctx))
	case err != nil:
		return "", explain(args[0], err, stderr.last)
	}
	return stdout.String(), nil
}

// run runs a command to its end. When the command's context ends, or this program, what
// the command started ends with it.
func run(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := process.StartCommand(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

// unreachable are words of the go command's errors when it cannot download.
var unreachable = []string{
	"dial tcp", "no such host", "connection refused", "connection reset", "network is unreachable",
	"TLS handshake timeout", "i/o timeout", "module lookup disabled", "unexpected EOF", "Bad Gateway", "502", "503",
}

// explain makes a sentence of a failed go command.
func explain(verb string, err error, last []string) error {
	said := strings.Join(last, "\n")
	for _, words := range unreachable {
		if strings.Contains(said, words) {
			return fmt.Errorf("a Go module could not be downloaded: check the network connection and GOPROXY, then try again\n%s", said)
		}
	}
	if strings.Contains(said, "no space left on device") {
		return fmt.Errorf("the disk is full: free about 5 GB and try again\n%s", said)
	}
	return fmt.Errorf("go %s: %w\n%s", verb, err, said)
}

// lineWriter cuts a stream into lines, hands each on and keeps the last few.
type lineWriter struct {
	each func(string)
	rest []byte
	last []string
}

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		w.rest = rest
		if w.last = append(w.last, string(line)); len(w.last) > 12 {
			w.last = w.last[1:]
		}
		if w.each != nil {
			w.each(string(line))
		}
	}
}
