package leader

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes/fake"
)

func TestFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		args   []string
		margin time.Duration
		err    string // part of it; "" for none
	}{
		"defaults":                    {nil, 2 * time.Second, ""},
		"no name":                     {[]string{"--leader-elect-identity="}, 0, "--leader-elect-identity is empty"},
		"no election":                 {[]string{"--leader-elect=false", "--leader-elect-identity="}, 2 * time.Second, ""},
		"kube-scheduler's own":        {[]string{"--leader-elect-lease-duration=15s", "--leader-elect-renew-deadline=10s", "--leader-elect-retry-period=2s"}, 5 * time.Second, ""},
		"a lease ends too soon":       {[]string{"--leader-elect-lease-duration=4s"}, 0, "--leader-elect-lease-duration must be longer"},
		"a fraction of a second":      {[]string{"--leader-elect-lease-duration=4900ms", "--leader-elect-renew-deadline=4500ms"}, 0, "whole seconds"},
		"renewed too seldom":          {[]string{"--leader-elect-retry-period=4s"}, 0, "1.2 times"},
		"no pause at all":             {[]string{"--leader-elect-retry-period=0s"}, 0, "1.2 times"},
		"a deadline that is negative": {[]string{"--leader-elect-renew-deadline=-1s"}, 0, "1.2 times"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			var f Flags
			f.Add(fs, "webhook-0")
			if err := fs.Parse(tt.args); err != nil {
				t.Fatal(err)
			}
			err := f.Check()
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if err != nil {
				return
			}
			if got := f.Margin(); got != tt.margin {
				t.Errorf("the margin is %s, want %s", got, tt.margin)
			}
			if _, err := New(Config{Client: fake.NewClientset(), Namespace: "ns", Lease: "lease", Flags: f}); err != nil {
				t.Errorf("the election does not take what was checked: %v", err)
			}
		})
	}
}
