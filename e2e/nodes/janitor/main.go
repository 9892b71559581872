// Command janitor takes away what the kernel does not take away by itself when
// the nodes' processes end, or not at once: directories, control groups, and the
// host's network device.
//
// Lines come in from the program that made them, each a word, "directory",
// "group" or "device", and a path or name. When that program closes the pipe, or is killed, the
// janitor does its work and ends. It removes nothing else, and says on its
// standard error what it could not remove.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

func main() {
	// It is told to end by its input alone.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	var directories, groups, devices []string
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch word, path, _ := strings.Cut(lines.Text(), " "); {
		case word == "device":
			devices = append(devices, path)
		case !filepath.IsAbs(path):
		case word == "directory":
			directories = append(directories, path)
		case word == "group":
			groups = append(groups, path)
		}
	}
	var errs []error
	for _, name := range devices {
		errs = append(errs, removeDevice(name))
	}
	for _, group := range groups {
		errs = append(errs, removeGroup(group))
	}
	for _, dir := range directories {
		errs = append(errs, retry(func() error { return os.RemoveAll(dir) }))
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintf(os.Stderr, "could not take away everything: %v\n", err)
		os.Exit(1)
	}
}

// limit is how long the kernel may take to end processes and let go of mounts.
const limit = 30 * time.Second

// retry calls try until it succeeds.
func retry(try func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// removeDevice removes a network device, and with it its routes. It would go
// with the network that its other end is in, but that may live on for minutes
// in connections that were never closed.
func removeDevice(name string) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("remove the network device %s: %w", name, err)
	}
	return nil
}

// removeGroup removes a control group with all below it, and the processes in
// them.
func removeGroup(root string) error {
	return retry(func() error {
		var groups []string
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist): // went by itself
				return nil
			case err != nil:
				return err
			case e.IsDir():
				groups = append(groups, path)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("look into the control group %s: %w", root, err)
		}
		var errs []error
		for _, group := range slices.Backward(groups) { // what is below comes first
			if err := end(group); err != nil {
				errs = append(errs, err)
			}
			if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove the control group: %w", err))
			}
		}
		return errors.Join(errs...)
	})
}

// end kills the processes of a control group.
func end(group string) error {
	data, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the processes of a control group: %w", err)
	}
	for field := range strings.FieldsSeq(string(data)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // that it is already gone is as well
		}
	}
	return nil
}
