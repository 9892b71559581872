package testmachine

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Links stay within sysfs and have targets, except those to drivers and buses,
// which have nothing to read.
func TestLinksLead(t *testing.T) {
	for _, name := range Names(t) {
		t.Run(name, func(t *testing.T) {
			sys, _ := Write(t, name)
			err := filepath.WalkDir(sys, func(path string, e fs.DirEntry, err error) error {
				if err != nil || e.Type()&fs.ModeSymlink == 0 {
					return err
				}
				target, err := os.Readlink(path)
				if err != nil {
					return err
				}
				at := filepath.Join(filepath.Dir(path), target)
				inside, err := filepath.Rel(sys, at)
				if err != nil || filepath.IsAbs(target) || strings.HasPrefix(inside, "..") {
					t.Errorf("%s leads out of sysfs, to %s", path, target)
				}
				bare := filepath.Base(path) == "driver" || filepath.Base(path) == "subsystem"
				if _, err := os.Stat(at); err != nil && !bare {
					t.Errorf("%s leads nowhere: %s", path, target)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestUnfoldRefuses(t *testing.T) {
	for _, text := range []string{"sys\n\tneither\n", "sys\n\ta = \\q\n", "sys\n\ta -> b\n\ta -> b\n"} {
		if err := unfold(t.TempDir(), text); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
