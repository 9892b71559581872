package kube

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		err  string // part of it; "" for none
	}{
		"defaults":    {nil, ""},
		"no requests": {[]string{"--kube-api-qps=0"}, "--kube-api-qps"},
		"no burst":    {[]string{"--kube-api-burst=0"}, "--kube-api-burst"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := pflag.NewFlagSet("", pflag.ContinueOnError)
			var f Flags
			f.Add(fs)
			if err := fs.Parse(tt.args); err != nil {
				t.Fatal(err)
			}
			err := f.Check()
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}
