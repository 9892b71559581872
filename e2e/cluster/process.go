package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// grace is how long a process may take to end after SIGTERM.
const grace = 10 * time.Second

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

// startProcess runs path with args and, besides this program's environment,
// env ("KEY=value"). Its output is appended to the log file.
func startProcess(name, log, path string, args, env []string) (*Process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{name: name, log: log, from: info.Size(), done: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = filepath.Dir(filepath.Dir(log))
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := onStarterThread(p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
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
	if p.ended() {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Stop ends the process by SIGTERM, or by SIGKILL when it takes longer than
// ten seconds, and waits until it is gone.
func (p *Process) Stop() { p.stop(grace) }

func (p *Process) stop(grace time.Duration) {
	if p.ended() {
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

// ended reports whether the process is gone and waited for; its id may then be
// another's, and must not be sent anything.
func (p *Process) ended() bool {
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

// said returns what the process wrote since it started, at most the last 64
// KiB.
func (p *Process) said() string {
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

// died explains why the process, which should be running, is not.
func (p *Process) died() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended by itself (%s); the last lines of %s:\n%s", p.name, how, p.log, tail(p.said(), 12))
}

// tail returns the last n lines of a text, indented, each at most 400 bytes.
func tail(text string, n int) string {
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

func onStarterThread(start func() error) error {
	starter.Do(func() {
		go func() {
			runtime.LockOSThread()
			for work := range starterWork {
				work()
			}
		}()
	})
	result := make(chan error)
	starterWork <- func() { result <- start() }
	return <-result
}
