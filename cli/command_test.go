package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/cli/distribution"
)

// TestUntil: it checks again until nothing is wrong, at most for as long as it may.
func TestUntil(t *testing.T) {
	bad, good := []check.Line{{Result: check.Wrong}}, []check.Line{{Result: check.NotChecked}}
	for name, tt := range map[string]struct {
		limit time.Duration
		bad   int // how often it is wrong first
		looks int
		wrong bool
	}{
		"sound":          {0, 0, 1, false},
		"wrong":          {0, 1, 1, true},
		"soon sound":     {time.Minute, 1, 2, false},
		"too short wait": {time.Second, 1, 1, true},
	} {
		synctest.Test(t, func(t *testing.T) { // its time passes at once
			looks := 0
			lines, err := until(t.Context(), tt.limit, func(context.Context) []check.Line {
				if looks++; looks <= tt.bad {
					return bad
				}
				return good
			})
			if err != nil || looks != tt.looks || check.Failed(lines) != tt.wrong {
				t.Errorf("%s: after %d looks %v, %v", name, looks, lines, err)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := until(ended, time.Hour, func(context.Context) []check.Line { return bad }); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestWrite: the key is for its owner alone.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	files := []distribution.File{{Name: "a.yaml", Mode: 0o644, Data: []byte("a: 1\n")}, {Name: "patches/key", Mode: 0o600, Data: []byte("key")}}
	for range 2 { // also over what is there
		if err := write(dir, files); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != f.Mode {
			t.Fatalf("%s: %v, %v", f.Name, info, err)
		}
		if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, f.Data) {
			t.Errorf("%s: %q, %v", f.Name, data, err)
		}
	}
}

// TestRefusals: a wrong command line ends with a sentence that says what to give, and
// asks no cluster.
func TestRefusals(t *testing.T) {
	for args, want := range map[string]string{
		"check -o yaml":                          "choose text or json",
		"check now":                              "unknown command",
		"scheduler-config":                       "--for is needed: choose one of k0s",
		"fix":                                    "unknown command",
		"check --kubeconfig=/nonexistent/config": "no such file",
	} {
		t.Run(args, func(t *testing.T) {
			c := command("heteroaccel")
			c.SetArgs(strings.Fields(args))
			c.SetOut(&bytes.Buffer{})
			if err := c.Execute(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
	var out bytes.Buffer
	c := command("heteroaccel")
	c.SetArgs([]string{"version"})
	c.SetOut(&out)
	if err := c.Execute(); err != nil || !strings.HasPrefix(out.String(), "heteroaccel ") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
