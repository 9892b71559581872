// Package process starts programs that end with the program that started them,
// however that ends.
//
// What to run enters; a running process with a log file leaves.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Grace is how long Stop lets a process take to end after SIGTERM.
const Grace = 10 * time.Second

// Process is a program that runs beside the cluster. It has a process group
// of its own, so that Ctrl-C in a terminal does not reach it before its turn,
// and is killed by the kernel when this program dies.
type Process struct {
	name string
	log  string
	from int64 // where this run's part of the log begins
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; valid once done is closed
}

// Spec says what to start.
type Spec struct {
	// Name is what messages call it.
	Name string
	// Path is the program; a bare name is looked up in PATH.
	Path string
	Args []string
	// Env ("KEY=value") adds to this program's environment.
	Env []string
	// Dir is its working directory.
	Dir string
	// Log is the file to which its output is appended.
	Log string
	// Stdin is what it reads; nil for nothing.
	Stdin io.Reader
	// Namespaces are the clone flags of the kernel namespaces that it gets of
	// its own.
	Namespaces uintptr
}

// Start starts a program.
func Start(s Spec) (*Process, error) {
	file, err := os.OpenFile(s.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	p := &Process{name: s.Name, log: s.Log, from: info.Size(), done: make(chan struct{})}
	p.cmd = exec.Command(s.Path, s.Args...)
	p.cmd.Dir = s.Dir
	p.cmd.Env = append(os.Environ(), s.Env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = s.Stdin, file, file
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: s.Namespaces}
	if err := StartCommand(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Name is what the process was started as.
func (p *Process) Name() string { return p.name }

// PID is the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is the path of the file with its output, that of earlier processes of
// the same name included.
func (p *Process) Log() string { return p.log }

// Done is closed when the process ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the process's end and returns how it ended, nil being exit
// status 0, or returns ctx's error.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Kill ends the process by SIGKILL, as a crash would, and waits until it is
// gone.
func (p *Process) Kill() {
	if p.Ended() {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Stop ends the process by SIGTERM, or by SIGKILL when it takes longer than
// ten seconds, and waits until it is gone.
func (p *Process) Stop() { p.StopWithin(Grace) }

// StopWithin is Stop with another limit than ten seconds.
func (p *Process) StopWithin(grace time.Duration) {
	if p.Ended() {
		return
	}
	// Only the program itself is asked: what it started is its own to end.
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // that it is already gone is as well
	select {
	case <-p.done:
	case <-time.After(grace):
	}
	// Once more in any case: children it may have left are in its group.
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Ended reports whether the process is gone and waited for; its id may then be
// another's, and must not be sent anything.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Signal sends a signal to the process; one that has ended is left alone.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// signal reaches the whole process group. That it is already gone is as well.
func (p *Process) signal(s syscall.Signal) { _ = syscall.Kill(-p.PID(), s) }

// Said returns what the process wrote since it started, at most the last 64
// KiB.
func (p *Process) Said() string {
	file, err := os.Open(p.log)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	from := max(p.from, info.Size()-64<<10)
	data := make([]byte, info.Size()-from)
	n, _ := file.ReadAt(data, from) // the quote is for a message: what can be read will do
	return string(data[:n])
}

// Died explains why the process, which should be running, is not.
func (p *Process) Died() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended by itself (%s); the last lines of %s:\n%s", p.name, how, p.log, Tail(p.Said(), 12))
}

// Tail returns the last n lines of a text, indented, each at most 400 bytes.
func Tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = lines[max(0, len(lines)-n):]
	for i, line := range lines {
		if len(line) > 400 {
			line = line[:400] + "..."
		}
		lines[i] = "  " + line
	}
	return strings.Join(lines, "\n")
}

// The kernel sends a child its death signal when the *thread* that started it
// ends. So one thread, which lives as long as the program, starts them all.
var (
	starter     sync.Once
	starterWork = make(chan func())
)

// StartCommand starts a command from that thread: for one whose SysProcAttr has
// a Pdeathsig.
func StartCommand(cmd *exec.Cmd) error {
	starter.Do(func() {
		go func() {
			runtime.LockOSThread()
			for work := range starterWork {
				work()
			}
		}()
	})
	result := make(chan error)
	starterWork <- func() { result <- cmd.Start() }
	return <-result
}
