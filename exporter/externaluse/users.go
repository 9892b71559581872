// Package externaluse finds processes outside Kubernetes that use a device.
//
// The mount point of procfs and the device files to look for enter; the command
// that has each open leaves. It needs the host's PID namespace and the right to
// read other users' descriptors, reports it when it lacks the right, and never
// touches a process.
//
// A process uses a device when it has the device file open and is not a pod's; a
// container of another runtime counts too. A virtual machine does not open the
// file of a device that is passed to it: discovery sees the driver. Display
// servers and daemons that keep a driver loaded do not compute and are ignored.
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

// pod matches the cgroup of a pod's process with any driver (cgroupfs, systemd),
// version, runtime, and --cgroup-root of the kubelet. In a cgroup namespace of
// its own an exporter sees relative paths, which may lack kubepods but have the
// pod's uid; that of a static pod has no dashes.
var pod = regexp.MustCompile(`(?m)[:/-]kubepods(?:[./-]|$)|pod[0-9a-f]{8}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{12}`)

// ignored are commands, at most 15 bytes as in comm, that keep device files open
// and do not compute: display servers and compositors, and NVIDIA's daemons.
var ignored = map[string]bool{
	"X": true, "Xorg": true, "Xwayland": true, "cage": true, "gnome-shell": true, "kwin_wayland": true,
	"kwin_x11": true, "labwc": true, "mutter": true, "sway": true, "weston": true,
	"dcgm-exporter": true, "nv-hostengine": true, "nvidia-persiste": true,
}

// deleted is what the kernel appends to the path of a deleted file, such as a
// device file that was recreated.
const deleted = " (deleted)"

// maxRead is how much is read of one file, in bytes.
const maxRead = 64 << 10

// Users returns, for each device file that a process outside Kubernetes has
// open, the command of that process; of several the one with the lowest process
// id. With an error it returns what it found.
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
			if command, err = externalCommand(dir); command != "" {
				for _, file := range held {
					users[file] = cmp.Or(users[file], command)
				}
			}
		}
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH): // or the process has ended
		case errors.Is(err, fs.ErrPermission):
			denied++
		default:
			failed = append(failed, err) // this process may use a device; the others still count
		}
	}
	if denied > 0 {
		failed = append(failed, fmt.Errorf("cannot read the open files of %d of %d processes: run the exporter as root with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or without --detect-external-use", denied, len(pids)))
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

// externalCommand returns the command of a process, "" for one that is a pod's
// or ignored.
func externalCommand(dir string) (string, error) {
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
	if command = strings.TrimSpace(command); ignored[command] {
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
	text, err := io.ReadAll(io.LimitReader(f, maxRead))
	return string(text), err
}

// batch is how many descriptors are listed at a time: a process may have hundreds
// of thousands.
const batch = 1024

// scan looks through the descriptors of one process after another. It reads links
// relative to the open directory into one buffer: with os.Readlink a scrape of a
// node with 300 processes allocates 2.3 times the memory.
type scan struct {
	wanted map[string]string // device files, by their paths in links
	target [256]byte         // longer than the path of any device file
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
