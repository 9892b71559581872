package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Write makes the machine's trees, root/sys and root/proc, and ties the
// machine to them: what changes later changes there.
func (m *Machine) Write(root string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.root = root
	m.next = 4211
	m.last = time.Now()
	// A machine that has been up for a while, mostly idle.
	m.idle = time.Duration(m.Cores) * time.Hour
	m.spent = time.Duration(m.Cores) * 3 * time.Minute
	t := &tree{root: m.sys()}
	t.bystanders()
	for _, d := range m.Devices {
		t.plug(d)
	}
	if t.err != nil {
		return fmt.Errorf("write the sysfs tree of machine %s: %w", m.Name, t.err)
	}
	if err := m.writeProc(); err != nil {
		return fmt.Errorf("write the procfs tree of machine %s: %w", m.Name, err)
	}
	return nil
}

// Sys is the root of the sysfs tree; it stands for /sys. "" before Write.
func (m *Machine) Sys() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sys()
}

// Proc is the root of the procfs tree; it stands for /proc. "" before Write.
func (m *Machine) Proc() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc()
}

// sys and proc expect the lock.
func (m *Machine) sys() string {
	if m.root == "" {
		return ""
	}
	return filepath.Join(m.root, "sys")
}

func (m *Machine) proc() string {
	if m.root == "" {
		return ""
	}
	return filepath.Join(m.root, "proc")
}

// tree writes files below root. The first error stops it and stays in err.
// What it replaces it replaces at once, through a name beside root: a reader
// never sees half a file. Nothing is synced to disk, since nothing outlives
// the process.
type tree struct {
	root string
	err  error
}

// file writes one line, as most of sysfs is.
func (t *tree) file(path, line string) {
	t.place(path, func(at string) error { return os.WriteFile(at, []byte(line+"\n"), 0o644) })
}

// link makes path a relative symbolic link to target, both below root, as the
// kernel makes them.
func (t *tree) link(path, target string) {
	relative, err := filepath.Rel(filepath.Dir(path), target)
	if err != nil {
		t.err = err
		return
	}
	t.place(path, func(at string) error { return os.Symlink(relative, at) })
}

func (t *tree) place(path string, write func(at string) error) {
	t.dir(filepath.Dir(path))
	if t.err != nil {
		return
	}
	fresh := t.root + ".new"
	if t.err = write(fresh); t.err == nil {
		t.err = os.Rename(fresh, filepath.Join(t.root, path))
	}
}

func (t *tree) dir(path string) {
	if t.err == nil {
		t.err = os.MkdirAll(filepath.Join(t.root, path), 0o755)
	}
}

func (t *tree) remove(path string) {
	if t.err == nil {
		t.err = os.RemoveAll(filepath.Join(t.root, path))
	}
}
