// Package externaluse finds processes that compute on a device without being a
// pod's.
//
// The mount point of procfs and the device files to look for enter; the command
// that holds each leaves. It needs the host's PID namespace and the right to
// read other users' descriptors, says so when it lacks the right, and never
// touches a process.
//
// What counts is an open device file. A container of another runtime on the
// same host is outside too; a virtual machine that has the device does not hold
// its file, but its driver, which discovery sees. Who draws the screen or keeps
// a driver awake does not compute, and is passed over.
package externaluse

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// pod matches the control group of a pod's process, whatever the driver
// (cgroupfs, systemd), the version, the runtime, and the kubelet's
// --cgroup-root. Below a
// control group namespace of its own an exporter sees paths relative to itself,
// in which kubepods may not occur but the pod's uid does; static pods have one
// without dashes.
var pod = regexp.MustCompile(`(?m)[:/-]kubepods(?:[./-]|$)|pod[0-9a-f]{8}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{12}`)

// keepers are commands, as comm has them with 15 bytes at most, that keep
// device files open for as long as they run and do not compute: display servers
// and compositors, and NVIDIA's daemons. Who names a program so hides it from
// nobody but himself.
var keepers = map[string]bool{
	"X": true, "Xorg": true, "Xwayland": true, "cage": true, "gnome-shell": true, "kwin_wayland": true,
	"kwin_x11": true, "labwc": true, "mutter": true, "sway": true, "weston": true,
	"dcgm-exporter": true, "nv-hostengine": true, "nvidia-persiste": true,
}

// deleted is what the kernel writes after the path of a file whose name is
// gone, as that of a device file is when it is made anew.
const deleted = " (deleted)"

// longest bounds what is read of one file, in bytes.
const longest = 64 << 10

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
	s := scan{wanted: make(map[string]string, 2*len(files))}
	for _, file := range files {
		s.wanted[file], s.wanted[file+deleted] = file, file
	}
	denied := 0
	var failed []error
	for _, pid := range pids {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		held, err := s.heldBy(dir)
		if err == nil && len(held) > 0 {
			var command string
			if command, err = outsider(dir); command != "" {
				for _, file := range held {
					users[file] = cmp.Or(users[file], command)
				}
			}
		}
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH): // or it has ended
		case errors.Is(err, fs.ErrPermission):
			denied++
		default:
			failed = append(failed, err) // it may hide a user, but not the others'
		}
	}
	if denied > 0 {
		failed = append(failed, fmt.Errorf("the open files of %d of %d processes may not be read: run the exporter as root with CAP_SYS_PTRACE, or with --detect-external-use=false", denied, len(pids)))
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

// outsider returns the command of a process, "" for one that is a pod's or a
// keeper.
func outsider(dir string) (string, error) {
	group, err := read(filepath.Join(dir, "cgroup"))
	if err != nil {
		return "", fmt.Errorf("read cgroup of a process: %w", err)
	}
	if pod.MatchString(group) {
		return "", nil
	}
	command, err := read(filepath.Join(dir, "comm"))
	if err != nil {
		return "", fmt.Errorf("read comm of a process: %w", err)
	}
	if command = strings.TrimSpace(command); keepers[command] {
		return "", nil
	}
	return cmp.Or(command, "unknown"), nil
}

// read reads the beginning of a file.
func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, longest))
	return string(text), err
}

// batch is how many descriptors are listed at a time: a process may have
// hundreds of thousands.
const batch = 1024

// scan looks through the descriptors of one process after another.
type scan struct {
	wanted map[string]string // paths as links show them, and the files they mean
	target [256]byte         // device files have shorter names; others may be cut
}

// heldBy returns which of the wanted files a process has open.
func (s *scan) heldBy(dir string) ([]string, error) {
	fds, err := os.Open(filepath.Join(dir, "fd"))
	if err != nil {
		return nil, fmt.Errorf("list open files of a process: %w", err)
	}
	defer fds.Close()
	at := int(fds.Fd())
	var held []string
	for {
		names, err := fds.Readdirnames(batch)
		for _, name := range names {
			n, err := unix.Readlinkat(at, name, s.target[:])
			if errors.Is(err, fs.ErrNotExist) { // closed meanwhile
				continue
			}
			if err != nil {
				return held, fmt.Errorf("read an open file of a process: %w", err)
			}
			if file, ok := s.wanted[string(s.target[:n])]; ok && !slices.Contains(held, file) {
				held = append(held, file)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return held, nil
		case err != nil:
			return held, fmt.Errorf("list open files of a process: %w", err)
		}
	}
}
