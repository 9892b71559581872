package main

import (
	"slices"
	"strings"
	"testing"

	"heteroaccel.io/pkg/program"
)

func TestSchedulerFlags(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		want   []string
		others bool
		err    string // part of it
	}{
		"nothing said":  {nil, []string{"default-scheduler"}, false, ""},
		"two":           {[]string{"--scheduler-names=default-scheduler,edge"}, []string{"default-scheduler", "edge"}, false, ""},
		"one by one":    {[]string{"--scheduler-names=a", "--scheduler-names=b"}, []string{"a", "b"}, false, ""},
		"others too":    {[]string{"--other-schedulers=admit"}, []string{"default-scheduler"}, true, ""},
		"others not":    {[]string{"--other-schedulers=refuse"}, []string{"default-scheduler"}, false, ""},
		"others unsure": {[]string{"--other-schedulers=perhaps"}, nil, false, `--other-schedulers "perhaps": give admit or refuse`},
		"one to write":  {[]string{"--set-scheduler-name=edge"}, []string{"default-scheduler", "edge"}, false, ""},
		"one of them":   {[]string{"--scheduler-names=edge", "--set-scheduler-name=edge"}, []string{"edge"}, false, ""},
		"no name":       {[]string{"--set-scheduler-name=An Edge"}, nil, false, `--set-scheduler-name "An Edge" cannot be the name of a scheduler`},
		"none":          {[]string{"--scheduler-names="}, nil, false, "--scheduler-names has an empty name"},
		"an empty one":  {[]string{"--scheduler-names=a,"}, nil, false, "--scheduler-names has an empty name"},
	} {
		t.Run(name, func(t *testing.T) {
			var f flags
			err := program.Program{Flags: f.add, Check: f.check}.Parse(c.args...)
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want one with %q", err, c.err)
				}
			case err != nil || !slices.Equal(f.schedulers, c.want) || f.otherSchedulers != c.others:
				t.Errorf("got %q, %v, %v", f.schedulers, f.otherSchedulers, err)
			}
		})
	}
}

// TestClientFlags: names are those of a CA's certificates.
func TestClientFlags(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		valid bool
	}{
		"neither": {nil, true},
		"a CA":    {[]string{"--client-ca-file=ca.crt"}, true},
		"both":    {[]string{"--client-ca-file=ca.crt", "--client-allowed-names=front-proxy-client,system:auth-proxy"}, true},
		"names":   {[]string{"--client-allowed-names=front-proxy-client"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var f flags
			err := program.Program{Flags: f.add, Check: f.check}.Parse(c.args...)
			if c.valid != (err == nil) || !c.valid && !strings.Contains(err.Error(), "--client-allowed-names needs --client-ca-file") {
				t.Errorf("error %v, want none: %v", err, c.valid)
			}
		})
	}
}
