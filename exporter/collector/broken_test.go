package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"heteroaccel.io/exporter/testmachine"
	"heteroaccel.io/pkg/accel"
)

// Whatever a file of the machine contains, or is, the exporter has a page that a
// monitor can read: at worst a collector has failed.
func TestEveryFileBroken(t *testing.T) {
	// Longer than any attribute, and neither a number nor a text.
	garbage := bytes.Repeat([]byte("\xff\xfe\x00=:\n"), 20_000)
	holds := func(text []byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, text, 0o644) }
	}
	directory := func(path string) error { return os.Mkdir(path, 0o755) }
	gone := func(string) error { return nil }
	files := map[string]func(path string) error{
		"gone": gone, "directory": directory, "empty": holds(nil), "bytes": holds([]byte("\xff\xfe\xfd")),
		"negative": holds([]byte("-9223372036854775809\n")), "huge": holds(garbage),
	}
	links := map[string]func(path string) error{
		"gone": gone, "directory": directory,
		"loop":    func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"upwards": func(path string) error { return os.Symlink("..", path) },
	}
	for _, name := range []string{"arria10-opae", "core-ultra", "gaudi2", "nvidia-drm", "stick-booted"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys, proc := testmachine.Write(t, name)
			config := Config{Node: name, Sys: sys, Proc: proc, ExternalUse: true, Timeout: time.Minute}
			for _, path := range read(t, sys, proc) {
				breaks := files
				if _, err := os.Readlink(path); err == nil {
					breaks = links
				}
				for how, breakIt := range breaks {
					restore := keep(t, path)
					if err := errors.Join(os.Remove(path), breakIt(path)); err != nil {
						t.Fatal(err)
					}
					s := decode(t, scrape(t, New(config, kubeletOf(name), zerolog.Nop())))
					if s.Node != name {
						t.Errorf("%s is %s: %+v", path, how, s)
					}
					for _, d := range s.Devices {
						if d.Health == accel.Healthy && d.Resource == "" && len(d.Holders) == 0 && d.Allocated >= 0 {
							t.Errorf("%s is %s: %s %s is idle, and nobody serves it", path, how, d.Kind, d.ID)
						}
					}
					restore()
				}
			}
		})
	}
}

// read lists the files and links that a scrape reads.
func read(t *testing.T, roots ...string) []string {
	t.Helper()
	unread := map[string]bool{"manufacturer": true, "product": true, "speed": true, "status": true, "subsystem": true, "dev": true, "enable": true, "control": true, "id": true}
	var paths []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && !unread[e.Name()] && !strings.Contains(path, "/drivers/") {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// keep saves a file or link, and returns a function that restores it.
func keep(t *testing.T, path string) (restore func()) {
	t.Helper()
	target, errLink := os.Readlink(path)
	var text []byte
	if errLink != nil {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		err := os.RemoveAll(path)
		if errLink == nil {
			err = os.Symlink(target, path)
		} else if err == nil {
			err = os.WriteFile(path, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestThousandsOfDevices(t *testing.T) {
	const count = 3000
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "sys/bus/usb/devices/1-%d\n\tidVendor = 03e7\n\tidProduct = 2485\n", i+1)
	}
	sys, proc := testmachine.WriteText(t, text.String())
	s := decode(t, scrape(t, New(Config{Node: "g", Sys: sys, Proc: proc, ExternalUse: true, Timeout: time.Minute}, kubeletOf(""), zerolog.Nop())))
	if len(s.Devices) != count {
		t.Errorf("%d devices", len(s.Devices))
	}
}

// A driver that hangs at one attribute fails only its own collector, and only
// while it hangs. A pipe without a writer is such an attribute.
func TestAnAttributeThatHangs(t *testing.T) {
	sys, proc := testmachine.Write(t, "core-ultra")
	attribute := filepath.Join(sys, "devices/pci0000:00/0000:00:02.0/drm/card1/gt/gt0/rc6_residency_ms")
	if err := os.Remove(attribute); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(attribute, 0o644); err != nil {
		t.Fatal(err)
	}
	c := New(Config{Node: "g", Sys: sys, Proc: proc, Timeout: 100 * time.Millisecond}, kubeletOf("core-ultra"), zerolog.Nop())
	for range 2 {
		s := decode(t, scrape(t, c))
		if ok := states(s); ok["gpu"] || !ok["npu"] || !ok["pci"] || !ok["podresources"] {
			t.Errorf("while it hangs: %v", ok)
		}
		if len(s.Devices) != 2 {
			t.Errorf("while it hangs: %+v", s.Devices)
		}
	}
	pipe, err := os.OpenFile(attribute, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.WriteString("1000\n"); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	if err := os.Remove(attribute); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !states(c.Scrape())["gpu"]; {
		if time.Now().After(deadline) {
			t.Fatal("it answers again, and the collector does not")
		}
	}
}
