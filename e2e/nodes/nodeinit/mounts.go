package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"heteroaccel.io/e2e/nodes/plan"
)

// mountProc shows the node's own processes, and the load of its own.
func mountProc(p plan.Plan) error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for name, file := range p.Proc {
		if err := bind(file, "/proc/"+name); err != nil {
			return err
		}
	}
	return nil
}

// mountSys makes /sys of the node's accelerators and, for everything else, of
// what the kernel has there: a fresh sysfs, since that shows the network
// devices of the network namespace it is mounted in.
func mountSys(p plan.Plan) error {
	fresh := filepath.Join(p.Dir, "sysfs")
	if err := os.MkdirAll(fresh, 0o755); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	if err := unix.Mount("sysfs", fresh, "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /sys: %w", err)
	}
	// The control groups are mounted below the host's.
	if err := bind("/sys/fs", filepath.Join(fresh, "fs")); err != nil {
		return err
	}
	if err := graft(fresh, p.Sys, 2); err != nil {
		return err
	}
	return bind(p.Sys, "/sys")
}

// graft binds into the tree what the directory source has and the tree has not.
// Down to the depth given, directories that both have are looked into; deeper
// the tree's stand as they are.
func graft(source, tree string, depth int) error {
	entries, err := os.ReadDir(source)
	if err != nil {
		return fmt.Errorf("read %s: %w", source, err)
	}
	for _, e := range entries {
		from, to := filepath.Join(source, e.Name()), filepath.Join(tree, e.Name())
		info, err := os.Lstat(to)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := transplant(e, from, to); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("look at %s: %w", to, err)
		case info.IsDir() && e.IsDir() && depth > 1:
			if err := graft(from, to, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// transplant makes to what from is: a link is copied, all else is bound.
func transplant(e fs.DirEntry, from, to string) error {
	var err error
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		var target string
		if target, err = os.Readlink(from); err == nil {
			err = os.Symlink(target, to)
		}
		if err != nil {
			return fmt.Errorf("copy the link %s: %w", from, err)
		}
		return nil
	case e.IsDir():
		err = os.Mkdir(to, 0o755)
	default:
		err = os.WriteFile(to, nil, 0o600)
	}
	if err != nil {
		return fmt.Errorf("make the mount point %s: %w", to, err)
	}
	return bind(from, to)
}

// hostDevices are what programs of every kind expect in /dev. Some are not on
// every host.
var hostDevices = []string{"null", "zero", "full", "random", "urandom", "tty", "kmsg", "fuse"}

// mountDev makes /dev of the common devices and files that stand for the
// node's accelerators: they open, and nothing is behind them.
func mountDev(p plan.Plan) error {
	dev := filepath.Join(p.Dir, "dev")
	if err := os.MkdirAll(dev, 0o755); err != nil {
		return fmt.Errorf("make /dev: %w", err)
	}
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_STRICTATIME, "mode=0755"); err != nil {
		return fmt.Errorf("make /dev: %w", err)
	}
	for _, name := range hostDevices {
		to := filepath.Join(dev, name)
		if _, err := os.Stat("/dev/" + name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.WriteFile(to, nil, 0o600); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
		if err := bind("/dev/"+name, to); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
	}
	for _, m := range []struct{ name, kind, data string }{
		{"pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"},
		{"shm", "tmpfs", "mode=1777"},
		{"mqueue", "mqueue", ""},
	} {
		at := filepath.Join(dev, m.name)
		if err := os.Mkdir(at, 0o755); err != nil {
			return fmt.Errorf("make /dev/%s: %w", m.name, err)
		}
		if err := unix.Mount(m.kind, at, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, m.data); err != nil {
			return fmt.Errorf("mount /dev/%s: %w", m.name, err)
		}
	}
	for _, name := range p.Devices {
		at := filepath.Join(dev, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
		// The numbers of /dev/null.
		if err := unix.Mknod(at, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
	}
	return bind(dev, "/dev")
}

// mountDirectories gives the node directories of its own where the host has
// others: what is written there must not be seen by other nodes.
func mountDirectories(p plan.Plan) error {
	for _, path := range p.Private {
		own := filepath.Join(p.Dir, "own", path)
		// Not every host has /var/lib/kubelet; an empty directory stays
		// behind only if somebody else makes use of it meanwhile.
		for _, dir := range []string{own, path} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("make %s: %w", dir, err)
			}
		}
		if err := bind(own, path); err != nil {
			return err
		}
		// The kubelet mounts volumes below, and containers must see them.
		if err := unix.Mount("", path, "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
			return fmt.Errorf("share the mounts below %s: %w", path, err)
		}
	}
	return nil
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, to, err)
	}
	return nil
}
