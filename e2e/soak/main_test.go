package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/soak/plan"
)

func TestParse(t *testing.T) {
	tests := map[string]struct {
		args []string
		want settings
		says string // of what is wrong
	}{
		"defaults":     {want: settings{seed: 1, size: plan.Size{Pods: 200, Duration: 5 * time.Minute}}},
		"a short one":  {args: []string{"-seed", "7", "-duration", "40s", "-pods", "60"}, want: settings{seed: 7, size: plan.Size{Pods: 60, Duration: 40 * time.Second}}},
		"too short":    {args: []string{"-duration", "1s"}, says: "at least 10s"},
		"too few":      {args: []string{"-pods", "3"}, says: "at least 20"},
		"unknown flag": {args: []string{"-speed", "3"}, says: "-speed"},
		"unknown word": {args: []string{"now"}, says: "nothing else is understood"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			got, err := parse(c.args, &out)
			if (err != nil) != (c.says != "") || !strings.Contains(out.String(), c.says) {
				t.Fatalf("error %v, and it says %q, want %q", err, out.String(), c.says)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(settings{})); c.says == "" && diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAgain: the command that is printed repeats the soak.
func TestAgain(t *testing.T) {
	set := settings{seed: 9, size: plan.Size{Pods: 60, Duration: 40 * time.Second}, only: "a,b", calm: true}
	args, ok := strings.CutPrefix(set.again(), "go run ./e2e/soak ")
	if !ok {
		t.Fatalf("it is %q", set.again())
	}
	got, err := parse(strings.Fields(args), &bytes.Buffer{})
	if err != nil || got != set {
		t.Errorf("%q is %v, %v", args, got, err)
	}
}
