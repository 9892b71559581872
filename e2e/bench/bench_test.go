package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		want string // of what is said; "" for nothing
	}{
		"nothing":           {"", ""},
		"some":              {"-nodes 50,1000 -pods 10 -loads gpu,none", ""},
		"no number":         {"-nodes 50,many", "numbers above 0"},
		"no such load":      {"-loads tpu", `no load "tpu"`},
		"too few":           {"-pods 1", "at least 2"},
		"something else":    {"now", "nothing else is understood"},
		"below 0":           {"-latency -1", "at least 0"},
		"no such flag":      {"-seed 1", "not defined"},
		"nodes that aren't": {"-nodes 0", "numbers above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			_, err := parse(strings.Fields(c.args), &said)
			if (err == nil) != (c.want == "") || !strings.Contains(said.String(), c.want) {
				t.Errorf("%v: %q, want %q", err, &said, c.want)
			}
		})
	}
}

func TestAdd(t *testing.T) {
	page := "# TYPE n_total counter\nn_total{a=\"x\",ba=\"1\",verb=\"GET\"} 2\nn_total{a=\"x\",verb=\"PUT\"} 3\nn_total{a=\"x\",code=\"500\",verb=\"GET\"} 1e1\n# TYPE m_total counter\nm_total{a=\"x\"} 7\n"
	got := map[string]float64{}
	if err := add(got, page, "n_total", "verb", "a"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]float64{"GET x": 12, "PUT x": 3}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSince: a program that was started anew counts from its start.
func TestSince(t *testing.T) {
	before := spent{cpu: map[string]map[int]float64{"webhook": {7: 100}, "kube-scheduler": {8: 900}}, requests: map[string]float64{"POST pods": 5}}
	after := spent{cpu: map[string]map[int]float64{"webhook": {7: 150}, "kube-scheduler": {9: 20}}, requests: map[string]float64{"POST pods": 25, "GET leases": 0}}
	cpu, requests, _ := after.since(before, 10)
	if diff := cmp.Diff(map[string]float64{"webhook": 5, "kube-scheduler": 2}, cpu); diff != "" {
		t.Errorf("processor time (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]float64{"POST pods": 2}, requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestProcessorTime: it is what the kernel tells the process itself, but for what it rounds
// down to hundredths of a second.
func TestProcessorTime(t *testing.T) {
	own := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
	}
	before := own()
	used, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after := own(); used < before-20 || used > after {
		t.Errorf("%v ms, want %v to %v", used, before, after)
	}
}

func TestNamesOf(t *testing.T) {
	for args, want := range map[string]string{
		`{"Pod":{"metadata":{"name":"a"}},"Nodes":null,"NodeNames":["a","b"]}`:             `["a","b"]`,
		`{"Pod":{"metadata":{"annotations":{"a":"\"NodeNames\":[1]"}}},"NodeNames":["c"]}`: `["c"]`,
		`{"NodeNames":[]}`:   `[]`,
		`{"NodeNames":null}`: `[]`,
		``:                   `[]`,
	} {
		if got := string(namesOf([]byte(args))); got != want {
			t.Errorf("%s has %s, want %s", args, got, want)
		}
	}
}
