package kube

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes/fake"
)

func TestFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		err  string // part of it; "" for none
	}{
		"defaults":                    {nil, ""},
		"no requests":                 {[]string{"--kube-api-qps=0"}, "--kube-api-qps"},
		"no burst":                    {[]string{"--kube-api-burst=0"}, "--kube-api-burst"},
		"no name":                     {[]string{"--leader-elect-identity="}, "--leader-elect-identity is empty"},
		"no election":                 {[]string{"--leader-elect=false", "--leader-elect-identity="}, ""},
		"kube-scheduler's own":        {[]string{"--leader-elect-lease-duration=15s", "--leader-elect-renew-deadline=10s", "--leader-elect-retry-period=2s"}, ""},
		"a lease ends too soon":       {[]string{"--leader-elect-lease-duration=4s"}, "--leader-elect-lease-duration must be longer"},
		"renewed too seldom":          {[]string{"--leader-elect-retry-period=4s"}, "1.2 times"},
		"no pause at all":             {[]string{"--leader-elect-retry-period=0s"}, "1.2 times"},
		"a deadline that is negative": {[]string{"--leader-elect-renew-deadline=-1s"}, "1.2 times"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			var f Flags
			var l LeaderFlags
			f.Add(fs)
			l.Add(fs, "webhook-0")
			if err := fs.Parse(tt.args); err != nil {
				t.Fatal(err)
			}
			err := f.Check()
			if err == nil {
				err = l.Check()
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err != nil || !l.Elect {
				return
			}
			if _, err := NewLeader(fake.NewClientset(), "ns", "lease", l); err != nil {
				t.Errorf("the election does not take what was checked: %v", err)
			}
		})
	}
}
