package cluster

import (
	"slices"
	"strings"
	"testing"
)

func TestPlace(t *testing.T) {
	here := Place{}.orLoopback()
	if path, args := here.command("etcd", []string{"-x"}); path != "etcd" || !slices.Equal(args, []string{"-x"}) {
		t.Errorf("on the loopback interface: %s %q", path, args)
	}
	if hosts := here.hosts(); !slices.Contains(hosts, "127.0.0.1") || !slices.Contains(hosts, "10.96.0.1") {
		t.Errorf("the API server is known as %q", hosts)
	}
	there := Place{Address: "10.1.2.3", Network: "/proc/7/ns/net", Services: "10.9.0.0/16"}.orLoopback()
	if path, args := there.command("etcd", []string{"-x"}); path != "nsenter" || strings.Join(args, " ") != "--net=/proc/7/ns/net -- etcd -x" {
		t.Errorf("in a network of its own: %s %q", path, args)
	}
	if hosts := there.hosts(); !slices.Contains(hosts, "10.1.2.3") || !slices.Contains(hosts, "10.9.0.1") {
		t.Errorf("the API server is known as %q", hosts)
	}
	if got := there.url(6443); got != "https://10.1.2.3:6443" {
		t.Errorf("its URL is %s", got)
	}
}
