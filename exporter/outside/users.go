// Package outside finds processes that compute on a device without being a
// pod's.
//
// The mount point of procfs and the device files to look for enter; the command
// that holds each leaves. It needs the host's PID namespace and the right to
// read other users' descriptors, says so when it lacks the right, and never
// touches a process.
package outside

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// pod matches the control group of a pod's process. Below a control group
// namespace of its own an exporter sees paths relative to itself, in which
// kubepods may not occur but the pod's uid does; static pods have one without
// dashes.
var pod = regexp.MustCompile(`kubepods|pod[0-9a-f]{8}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{12}`)

// Users returns, for each of the device files, the command of a process
// outside Kubernetes that has it open; that of the lowest process id when
// there are several, none for a file that nobody outside uses. What was found
// is returned beside an error too.
func Users(proc string, files []string) (map[string]string, error) {
	users := map[string]string{}
	if len(files) == 0 {
		return users, nil
	}
	pids, err := processes(proc)
	if err != nil {
		return nil, err
	}
	denied := 0
	var failed []error
	for _, pid := range pids {
		held, err := heldBy(filepath.Join(proc, strconv.Itoa(pid)), files)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH): // it has ended
			continue
		case errors.Is(err, fs.ErrPermission):
			denied++
			continue
		case err != nil:
			failed = append(failed, err) // it may hide a user, but not the others'
		}
		for file, command := range held {
			if users[file] == "" {
				users[file] = command
			}
		}
	}
	if denied > 0 {
		failed = append(failed, fmt.Errorf("the open files of %d of %d processes may not be read: run the exporter as root with CAP_SYS_PTRACE, or without --outside", denied, len(pids)))
	}
	return users, errors.Join(failed...)
}

// processes returns the process ids in order.
func processes(proc string) ([]int, error) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// heldBy returns which of the files a process has open, with its command; none
// for a pod's process.
func heldBy(dir string, files []string) (map[string]string, error) {
	group, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return nil, fmt.Errorf("read cgroup of a process: %w", err)
	}
	if pod.Match(group) {
		return nil, nil
	}
	fds, err := os.Open(filepath.Join(dir, "fd"))
	if err != nil {
		return nil, fmt.Errorf("list open files of a process: %w", err)
	}
	defer fds.Close()
	names, err := fds.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list open files of a process: %w", err)
	}
	var held map[string]string
	for _, name := range names {
		target, err := os.Readlink(filepath.Join(fds.Name(), name))
		if errors.Is(err, fs.ErrNotExist) { // closed meanwhile
			continue
		}
		if err != nil {
			return held, fmt.Errorf("read an open file of a process: %w", err)
		}
		if !slices.Contains(files, target) || held[target] != "" {
			continue
		}
		command, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			return held, fmt.Errorf("read comm of a process: %w", err)
		}
		if held == nil {
			held = map[string]string{}
		}
		held[target] = cmp.Or(strings.TrimSpace(string(command)), "unknown")
	}
	return held, nil
}
