package cache

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestDir: what failed is not kept, what succeeded is kept whole, and of several at
// once each gets it.
func TestDir(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	broken := errors.New("no network")
	if _, err := Dir("x-1", func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o644); err != nil {
			t.Error(err)
		}
		return broken
	}); !errors.Is(err, broken) {
		t.Fatalf("%v, want %v", err, broken)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, err := Dir("x-1", func(dir string) error { return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o644) })
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(filepath.Join(dir, "whole")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	dir, err := Dir("x-1", func(string) error { return broken })
	if err != nil {
		t.Errorf("it is there, and is filled once more: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(left) != 1 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestOf: what is made from files is filled when one changes, and only then.
func TestOf(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	root, filled := t.TempDir(), 0
	of := func(text string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, "go.sum"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		dir, err := Of("tool", root, []string{"go.sum"}, func(string) error {
			filled++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	first, second, third := of("v1"), of("v1"), of("v2")
	if first != second || second == third || filled != 2 {
		t.Errorf("%s, %s, %s: filled %d times", first, second, third, filled)
	}
	if _, err := Of("tool", root, []string{"go.mod"}, nil); err == nil {
		t.Error("a file that is missing goes unnoticed")
	}
}
