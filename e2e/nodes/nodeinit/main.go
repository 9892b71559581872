// Command nodeinit is the first process of a node: it makes the node's file
// systems and then waits for every process that loses its parent there, as an
// init does.
//
// It is started in mount, PID, network, UTS and IPC namespaces of its own, and
// reads what to do, a Plan as JSON, from its standard input. Once the node is
// ready for other programs it says "ready". When it ends, the kernel ends every
// process of the node and takes away all its mounts.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"heteroaccel.io/e2e/nodes/plan"
)

func main() {
	if os.Getpid() != 1 {
		fail(errors.New("it must be the first process of a PID namespace"))
	}
	// Children that end are heard of from the start.
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	var p plan.Plan
	if err := json.NewDecoder(os.Stdin).Decode(&p); err != nil {
		fail(fmt.Errorf("read the plan of the node: %w", err))
	}
	if err := prepare(p); err != nil {
		fail(err)
	}
	fmt.Println("ready")
	reap(ended)
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "nodeinit: %v\n", err)
	os.Exit(1)
}

// prepare makes the node of the namespaces.
func prepare(p plan.Plan) error {
	if err := unix.Sethostname([]byte(p.Name)); err != nil {
		return fmt.Errorf("name the node %s: %w", p.Name, err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part the node's mounts from the host's: %w", err)
	}
	for _, step := range []func(plan.Plan) error{mountProc, mountSys, mountDev, mountDirectories} {
		if err := step(p); err != nil {
			return err
		}
	}
	for name, value := range p.Sysctls {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// reap waits for orphans for ever. A signal may stand for several of them.
func reap(ended <-chan os.Signal) {
	for range ended {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if pid <= 0 || err != nil {
				break
			}
		}
	}
}
