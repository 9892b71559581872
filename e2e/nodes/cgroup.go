package nodes

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// groupRoot is where control groups are mounted.
const groupRoot = "/sys/fs/cgroup"

// groupName is the control group of a node below each hierarchy's root: the
// kubelet's --cgroup-root, below which its pods are.
func groupName(node string) string { return "/heteroaccel-" + node }

// makeGroups makes the control group of a node in every hierarchy, or in the
// one of version 2, and tells each to the janitor before it is made.
func makeGroups(j *janitor, node string) error {
	hierarchies, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range hierarchies {
		group := filepath.Join(h, groupName(node))
		if err := j.group(group); err != nil {
			return err
		}
		if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make the control group %s: %w", group, err)
		}
		if err := fill(h, group); err != nil {
			return err
		}
	}
	return nil
}

// hierarchies are the mount points of control groups.
func hierarchies() ([]string, error) {
	if unified() {
		return []string{groupRoot}, nil
	}
	entries, err := os.ReadDir(groupRoot)
	if err != nil {
		return nil, fmt.Errorf("look for control groups: %w", err)
	}
	var out []string
	for _, e := range entries {
		// Links name a hierarchy of several controllers once more.
		at := filepath.Join(groupRoot, e.Name())
		if _, err := os.Stat(filepath.Join(at, "cgroup.procs")); err == nil && e.IsDir() {
			out = append(out, at)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no control groups are mounted at %s: the nodes' kubelets need them", groupRoot)
	}
	return out, nil
}

// unified reports whether the host has control groups of version 2 alone.
func unified() bool {
	_, err := os.Stat(filepath.Join(groupRoot, "cgroup.controllers"))
	return err == nil
}

// fill makes a new control group fit to hold others: a cpuset has no
// processors until it is given some, and version 2 hands a controller down
// only where it is told to.
func fill(parent, group string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		if unified() {
			break
		}
		value, err := os.ReadFile(filepath.Join(parent, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(group, name), bytes.TrimSpace(value), 0)
		}
		if err != nil {
			return fmt.Errorf("set %s of the control group %s: %w", name, group, err)
		}
	}
	if !unified() {
		return nil
	}
	for _, at := range []string{parent, group} {
		controllers, err := os.ReadFile(filepath.Join(at, "cgroup.controllers"))
		if err != nil {
			return fmt.Errorf("read the controllers of %s: %w", at, err)
		}
		for controller := range strings.FieldsSeq(string(controllers)) {
			if err := os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+"+controller), 0); err != nil {
				return fmt.Errorf("hand the controller %s down from %s: %w", controller, at, err)
			}
		}
	}
	return nil
}

// used is how long the processors worked for the pods of a node so far.
func used(node string) (time.Duration, error) {
	if !unified() {
		data, err := os.ReadFile(filepath.Join(groupRoot, "cpuacct", groupName(node), "cpuacct.usage"))
		if err != nil {
			return 0, fmt.Errorf("read the processor time of node %s: %w", node, err)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		return time.Duration(n), err
	}
	data, err := os.ReadFile(filepath.Join(groupRoot, groupName(node), "cpu.stat"))
	if err != nil {
		return 0, fmt.Errorf("read the processor time of node %s: %w", node, err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, fmt.Errorf("cpu.stat of node %s says no usage_usec", node)
}
