package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// jiffy is the unit of /proc/stat: USER_HZ is 100.
const jiffy = 10 * time.Millisecond

// writeProc writes cpuinfo, stat and loadavg. The caller holds mu.
func (m *Machine) writeProc() error {
	t := &tree{root: m.proc()}
	var info strings.Builder
	for i := range m.Cores {
		fmt.Fprintf(&info, "processor\t: %d\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel name\t: %s\ncpu MHz\t\t: %.3f\nphysical id\t: 0\ncore id\t\t: %d\ncpu cores\t: %d\nflags\t\t: fpu sse sse2 ssse3 sse4_1 sse4_2\n\n",
			i, m.CPU, m.MHz, i/2, (m.Cores+1)/2)
	}
	t.file("cpuinfo", strings.TrimSuffix(info.String(), "\n"))
	if t.err != nil {
		return t.err
	}
	return m.writeLoad()
}

// writeLoad writes what changes with time and load. The caller holds mu.
func (m *Machine) writeLoad() error {
	t := &tree{root: m.proc()}
	user, idle := int64(m.spent/jiffy), int64(m.idle/jiffy)
	var stat strings.Builder
	fmt.Fprintf(&stat, "cpu  %d 0 0 %d 0 0 0 0 0 0\n", user, idle)
	n := int64(m.Cores)
	for i := range n {
		// The remainder goes to the first cores, so that the lines add up.
		u, id := user/n, idle/n
		if i < user%n {
			u++
		}
		if i < idle%n {
			id++
		}
		fmt.Fprintf(&stat, "cpu%d %d 0 0 %d 0 0 0 0 0 0\n", i, u, id)
	}
	stat.WriteString("intr 0\nctxt 0\nbtime 1700000000\nprocesses 5000\nprocs_running 1\nprocs_blocked 0")
	t.file("stat", stat.String())
	t.file("loadavg", fmt.Sprintf("%.2f %.2f %.2f %d/500 5000", m.busy, m.busy, m.busy, int(m.busy)+1))
	return t.err
}

// SetLoad keeps busy of the machine's cores, 0 to Cores, working from now on.
func (m *Machine) SetLoad(busy float64) error {
	if busy < 0 || busy > float64(m.Cores) {
		return fmt.Errorf("machine %s has %d cores: %g of them cannot be busy", m.Name, m.Cores, busy)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root == "" {
		return fmt.Errorf("machine %s has no trees yet: call Write first", m.Name)
	}
	m.count(time.Now())
	m.busy = busy
	return m.writeLoad()
}

// Advance counts the time up to now into /proc/stat.
func (m *Machine) Advance(now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count(now)
	return m.writeLoad()
}

// count expects the lock.
func (m *Machine) count(now time.Time) {
	passed := now.Sub(m.last)
	if passed <= 0 {
		return
	}
	m.last = now
	worked := time.Duration(m.busy * float64(passed))
	m.spent += worked
	m.idle += time.Duration(m.Cores)*passed - worked
}

// Run keeps /proc/stat going until ctx ends, a step every half second.
func (m *Machine) Run(ctx context.Context) error {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			if err := m.Advance(now); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("advance the load of machine %s: %w", m.Name, err)
			}
		}
	}
}

// UseExternally starts a process called comm, of a user's session and in no pod,
// that has the device's file open until Release.
func (m *Machine) UseExternally(device, comm string) error {
	d, err := m.Device(device)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root == "" {
		return fmt.Errorf("machine %s has no trees yet: call Write first", m.Name)
	}
	s := m.of(device)
	if s.pid != 0 {
		return fmt.Errorf("device %s of machine %s is already held from outside: call Release first", device, m.Name)
	}
	pid := m.next
	m.next++
	// The process appears whole, as a real one does: it is made elsewhere
	// and renamed into place.
	t := &tree{root: filepath.Join(m.root, "starting")}
	t.file("comm", comm)
	t.file("cgroup", "0::/user.slice/user-1000.slice/session-2.scope")
	t.file("stat", fmt.Sprintf("%d (%s) S 1 %d %d 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0", pid, comm, pid, pid))
	t.file("status", fmt.Sprintf("Name:\t%s\nPid:\t%d\nUid:\t1000\t1000\t1000\t1000", comm, pid))
	t.dir("fd")
	if t.err == nil {
		t.err = os.Symlink(d.Node, filepath.Join(t.root, "fd", "3"))
	}
	if t.err == nil {
		t.err = os.Rename(t.root, filepath.Join(m.proc(), fmt.Sprint(pid)))
	}
	if t.err != nil {
		return fmt.Errorf("start %s on machine %s: %w", comm, m.Name, t.err)
	}
	s.pid = pid
	return nil
}

// Release ends the process that holds the device from outside; none is fine.
func (m *Machine) Release(device string) error {
	if _, err := m.Device(device); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.of(device)
	if s.pid == 0 {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(m.proc(), fmt.Sprint(s.pid))); err != nil {
		return fmt.Errorf("end process %d of machine %s: %w", s.pid, m.Name, err)
	}
	s.pid = 0
	return nil
}
