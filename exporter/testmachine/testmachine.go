// Package testmachine has the sysfs and procfs of machines as text, for tests.
//
// The name of a machine enters; its trees leave, on disk, with links as the
// kernel has them. Numbers are those of the PCI and USB id databases; the layouts
// follow the kernel's Documentation/ABI and the drivers named in package
// discovery. The trees have only what discovery reads, or must ignore.
//
// In a machine's file a line without indentation is a directory; an indented one
// is in it: "name = content" is a file (with Go's escapes), "name -> target" a
// link. A name may contain directories.
package testmachine

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

//go:embed *.txt
var files embed.FS

// Names returns the names of all the machines, in order.
func Names(tb testing.TB) []string {
	tb.Helper()
	entries, err := files.ReadDir(".")
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".txt"))
	}
	slices.Sort(names)
	return names
}

// Write writes a machine's trees into a temporary directory, and returns the
// paths of its sysfs and procfs.
func Write(tb testing.TB, name string) (sys, proc string) {
	tb.Helper()
	text, err := files.ReadFile(name + ".txt")
	if err != nil {
		tb.Fatal(err)
	}
	return WriteText(tb, string(text))
}

// WriteText is Write for the text of a machine.
func WriteText(tb testing.TB, text string) (sys, proc string) {
	tb.Helper()
	root := tb.TempDir()
	for _, needed := range []string{"sys", "proc"} {
		if err := os.MkdirAll(filepath.Join(root, needed), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	if err := unfold(root, text); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(root, "sys"), filepath.Join(root, "proc")
}

func unfold(root, text string) error {
	dir := root
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		var err error
		switch entry, inside := strings.CutPrefix(line, "\t"); {
		case line == "" || line[0] == '#':
		case inside:
			err = create(dir, entry)
		default:
			dir = filepath.Join(root, line)
			err = os.MkdirAll(dir, 0o755)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

// create writes one file or link.
func create(dir, entry string) error {
	name, target, link := strings.Cut(entry, " -> ")
	name, content, file := strings.Cut(name, " =")
	if link == file {
		return fmt.Errorf("%q is neither a file nor a link", entry)
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if link {
		return os.Symlink(target, path)
	}
	text, err := strconv.Unquote(`"` + strings.TrimPrefix(content, " ") + `"`)
	if err != nil {
		return fmt.Errorf("%q: %w", entry, err)
	}
	return os.WriteFile(path, []byte(text+"\n"), 0o644)
}

// Processes writes processes of pods and of the system into a procfs, with twenty
// open files each, none of them a device's.
func Processes(tb testing.TB, proc string, count int) {
	tb.Helper()
	var text strings.Builder
	for i := range count {
		group := "/system.slice/service.service"
		if i%2 == 0 {
			group = fmt.Sprintf("/kubepods/burstable/pod5d8e4b8e-3b0a-4f0e-8a54-%012x/main", i)
		}
		fmt.Fprintf(&text, "%d\n\tcomm = worker\n\tcgroup = 0::%s\n", 10_000+i, group)
		for fd := range 20 {
			fmt.Fprintf(&text, "\tfd/%d -> socket:[%d]\n", fd, 100*i+fd)
		}
	}
	if err := unfold(proc, text.String()); err != nil {
		tb.Fatal(err)
	}
}
