package collector

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/exporter/allocation"
	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/exporter/testmachine"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

// FuzzMachine replaces two files of a machine, each by a file of any content, a link
// or nothing, and holds that what is found can be reported and read again, is found
// a second time alike, and has texts of bounded length.
func FuzzMachine(f *testing.F) {
	var machines []*tree
	for i, name := range testmachine.Names(f) {
		machines = append(machines, newTree(f, name))
		f.Add(uint8(i), uint16(7*i), []byte("0x8086\n"), uint16(3), []byte(nil))
		f.Add(uint8(i), uint16(0), []byte(">\x01\x00"), uint16(11*i), []byte("-9223372036854775809"))
	}
	f.Fuzz(func(t *testing.T, machine uint8, first uint16, content []byte, second uint16, other []byte) {
		m := machines[int(machine)%len(machines)]
		defer m.restore(t, first)
		defer m.restore(t, second)
		m.replace(t, first, content)
		m.replace(t, second, other)
		found := m.find()
		if again := m.find(); !reflect.DeepEqual(found, again) {
			t.Errorf("(-first scrape +second):\n%s", cmp.Diff(found, again))
		}
		text := 0
		for _, d := range found.Devices {
			text += len(d.ID) + len(d.Vendor) + len(d.Model) + len(d.Driver) + len(d.PluginID) + len(d.Reason)
			if d.ID == "" || d.Kind == "" || d.Slots < 0 || d.Health == accel.Healthy && d.Reason != "" {
				t.Errorf("found %+v", d)
			}
		}
		if text > 1<<20 {
			t.Errorf("%d bytes about %d devices", text, len(found.Devices))
		}
		series := telemetry.Encode(found)
		for _, s := range series {
			for name, value := range s.Labels {
				if !utf8.ValidString(value) {
					t.Errorf("%s: label %s is %q", s.Name, name, value)
				}
			}
		}
		back, err := telemetry.Decode(series, time.Time{})
		if err != nil {
			t.Fatalf("a monitor cannot read it: %v: %+v", err, found)
		}
		if len(back.Devices) != len(found.Devices) {
			t.Errorf("a monitor reads %d devices of %d", len(back.Devices), len(found.Devices))
		}
	})
}

// tree is a machine on disk. It is written once: a file system in memory would not
// do, since discovery calls the kernel itself.
type tree struct {
	mounts  discovery.Mounts
	kubelet Kubelet
	paths   []string
	// texts are the files' contents, and links the links' targets, by path.
	texts map[string][]byte
	links map[string]string
}

func newTree(f *testing.F, name string) *tree {
	f.Helper()
	sys, proc := testmachine.Write(f, name)
	m := &tree{mounts: discovery.Mounts{Sys: sys, Proc: proc}, kubelet: kubeletOf(name), texts: map[string][]byte{}, links: map[string]string{}}
	for _, root := range []string{sys, proc} {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			m.paths = append(m.paths, path)
			if e.Type()&fs.ModeSymlink != 0 {
				m.links[path], err = os.Readlink(path)
			} else {
				m.texts[path], err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			f.Fatal(err)
		}
	}
	return m
}

func (m *tree) path(i uint16) string { return m.paths[int(i)%len(m.paths)] }

// replace puts a file of a content in the place of another. One of ">" and two
// bytes is a link to the path of that number, an empty one leaves no file.
func (m *tree) replace(t *testing.T, i uint16, content []byte) {
	t.Helper()
	path := m.path(i)
	_ = os.Remove(path) // it may be gone
	var err error
	switch {
	case len(content) == 0:
	case content[0] == '>' && len(content) == 3:
		err = os.Symlink(m.path(uint16(content[1])|uint16(content[2])<<8), path)
	default:
		err = os.WriteFile(path, content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (m *tree) restore(t *testing.T, i uint16) {
	t.Helper()
	path := m.path(i)
	_ = os.Remove(path) // it may be gone
	var err error
	if target, link := m.links[path]; link {
		err = os.Symlink(target, path)
	} else {
		err = os.WriteFile(path, m.texts[path], 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// find is a scrape of the machine's devices, without goroutines.
func (m *tree) find() telemetry.Scrape {
	var all []discovery.Device
	complete := true
	for _, s := range scans {
		some, err := s.find(m.mounts)
		all, complete = append(all, some...), complete && err == nil
	}
	present, err := discovery.Present(m.mounts)
	answer, _ := m.kubelet(context.Background())
	out := telemetry.Scrape{Node: "g"}
	if cpu, err := discovery.ReadCPU(m.mounts.Proc); err == nil {
		out.CPUCores = cpu.Cores
	}
	out.Devices = allocation.Merge(allocation.Machine{Devices: discovery.Merge(all), Complete: complete && err == nil, Present: present}, &answer, nil)
	return out
}
