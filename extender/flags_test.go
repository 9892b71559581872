package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/program"
	"heteroaccel.io/pkg/schedulerconfig"
)

func parse(t *testing.T, args ...string) (flags, error) {
	t.Helper()
	var f flags
	err := program.Program{Flags: f.add, Check: f.check}.Parse(args...)
	return f, err
}

// TestListenFlags: what would take tokens in plain text, or demand certificates that
// nobody can show, does not start.
func TestListenFlags(t *testing.T) {
	pair := []string{"--tls-cert-file=c", "--tls-private-key-file=k"}
	for name, tt := range map[string]struct {
		args []string
		err  string // part of it
	}{
		"nothing said":               {nil, ""},
		"half a pair":                {pair[:1], "go together"},
		"a CA without TLS":           {[]string{"--client-ca-file=ca"}, "--client-ca-file needs --tls-cert-file"},
		"a CA":                       {append(pair, "--client-ca-file=ca"), ""},
		"names without a CA":         {append(pair, "--client-allowed-names=a"), "--client-allowed-names needs --client-ca-file"},
		"names":                      {append(pair, "--client-ca-file=ca", "--client-allowed-names=a,b"), ""},
		"pages on localhost":         {[]string{"--pages-bind-address=localhost:0"}, ""},
		"pages on ::1":               {[]string{"--pages-bind-address=[::1]:0"}, ""},
		"pages on all":               {[]string{"--pages-bind-address=:8889"}, "--pages-bind-address :8889 is not a loopback address and needs --tls-cert-file: tokens must not go over plain HTTP"},
		"pages on all of IPv6":       {[]string{"--pages-bind-address=[::]:8889"}, "is not a loopback address"},
		"pages on a name":            {[]string{"--pages-bind-address=node-g:8889"}, "is not a loopback address"},
		"pages on an address":        {[]string{"--pages-bind-address=10.0.0.1:8889"}, "is not a loopback address"},
		"pages on all over TLS":      {append(pair, "--pages-bind-address=:8889"), ""},
		"a URL of the verbs":         {[]string{"--scheduler-url=http://10.0.0.9:80/scheduler"}, ""},
		"a URL of another scheme":    {append(pair, "--scheduler-url=http://10.0.0.9:80/scheduler"), "give the URL of the verbs, such as https://10.96.0.9:8888/scheduler"},
		"a URL without a host":       {[]string{"--scheduler-url=scheduler"}, "give the URL of the verbs"},
		"a URL that breaks the YAML": {[]string{"--scheduler-url=http://a b/\nx: y"}, "give the URL of the verbs"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(t, tt.args...); tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
		})
	}
}

// TestEndpoint: the configuration names an address at which kube-scheduler reaches
// the verbs.
func TestEndpoint(t *testing.T) {
	pair := []string{"--tls-cert-file=c", "--tls-private-key-file=k"}
	for name, tt := range map[string]struct {
		args       []string
		host, port string
		want       schedulerconfig.Endpoint
	}{
		"a laptop":           {[]string{"--bind-address=127.0.0.1:4711"}, "", "", schedulerconfig.Endpoint{URL: "http://127.0.0.1:4711/scheduler"}},
		"a pod":              {nil, "10.96.0.9", "8888", schedulerconfig.Endpoint{URL: "http://10.96.0.9:8888/scheduler"}},
		"a pod, IPv6":        {[]string{"--bind-address=[::]:9000"}, "fd00::1", "8888", schedulerconfig.Endpoint{URL: "http://[fd00::1]:8888/scheduler"}},
		"before the Service": {nil, "", "", schedulerconfig.Endpoint{URL: "http://heteroaccel-extender.heteroaccel-system.svc:8888/scheduler"}},
		"mutual TLS":         {[]string{"--tls-cert-file=c", "--tls-private-key-file=k", "--client-ca-file=ca"}, "10.96.0.9", "8888", schedulerconfig.Endpoint{URL: "https://10.96.0.9:8888/scheduler", ServerName: "heteroaccel-extender.heteroaccel-system.svc", ClientCertificate: true}},
		"elsewhere":          {[]string{"--namespace=ours"}, "", "", schedulerconfig.Endpoint{URL: "http://heteroaccel-extender.ours.svc:8888/scheduler"}},
		"elsewhere, TLS":     {append(pair, "--namespace=ours"), "10.96.0.9", "8888", schedulerconfig.Endpoint{URL: "https://10.96.0.9:8888/scheduler", ServerName: "heteroaccel-extender.ours.svc"}},
		"as told":            {[]string{"--scheduler-url=http://edge:80/scheduler"}, "10.96.0.9", "8888", schedulerconfig.Endpoint{URL: "http://edge:80/scheduler"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HETEROACCEL_EXTENDER_SERVICE_HOST", tt.host)
			t.Setenv("HETEROACCEL_EXTENDER_SERVICE_PORT", tt.port)
			f, err := parse(t, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, f.endpoint()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
