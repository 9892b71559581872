package nodes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// ErrLeft is that something of the nodes could not be taken away.
var ErrLeft = errors.New("something of the nodes is left")

// janitor is the process that takes away what would stay behind. It is told
// beforehand, so that it knows also when this program is killed.
type janitor struct {
	cmd   *exec.Cmd
	pipe  io.WriteCloser
	wrote bytes.Buffer // its standard error
}

func startJanitor(path string) (*janitor, error) {
	j := &janitor{cmd: exec.Command(path)}
	pipe, err := j.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	j.pipe = pipe
	j.cmd.Stderr = &j.wrote
	// A session of its own: what ends this program must not end the janitor.
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := j.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	return j, nil
}

func (j *janitor) directory(path string) error { return j.tell("directory", path) }
func (j *janitor) group(path string) error     { return j.tell("group", path) }
func (j *janitor) device(name string) error    { return j.tell("device", name) }

func (j *janitor) tell(word, path string) error {
	if _, err := fmt.Fprintln(j.pipe, word, path); err != nil {
		return fmt.Errorf("tell the janitor of %s: %w", path, err)
	}
	return nil
}

// finish has it do its work, and returns what it could not do.
func (j *janitor) finish() error {
	err := j.pipe.Close()
	if failed := j.cmd.Wait(); failed != nil {
		err = errors.Join(err, fmt.Errorf("%w: %w: %s", ErrLeft, failed, strings.TrimSpace(j.wrote.String())))
	}
	return err
}
