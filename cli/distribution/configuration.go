package distribution

import (
	"encoding/base64"
	"fmt"
	"strings"

	"heteroaccel.io/pkg/schedulerconfig"
)

// configuration is kube-scheduler's own, with the extender; files are in dir.
//
// It names the kubeconfig: with --config kube-scheduler ignores its flag
// --kubeconfig, and would look for an API server on its own machine.
func configuration(r Request, dir, kubeconfig string) string {
	var b strings.Builder
	b.WriteString("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n")
	b.WriteString("# With --config kube-scheduler ignores --kubeconfig, so it stands here.\n")
	fmt.Fprintf(&b, "clientConnection:\n  kubeconfig: %s\n", kubeconfig)
	b.WriteString("# A flag --leader-elect overrides it.\nleaderElection:\n  leaderElect: true\n")
	b.WriteString(extenders(r, dir))
	return b.String()
}

// extenders is the entry alone. Without a dir the certificates are part of it.
func extenders(r Request, dir string) string {
	return extendersAt(r.Extender.String(), "# An address: kube-scheduler's resolver does not know the names of Services.\n", r, dir)
}

// extendersAt is the entry alone, for an extender at a host and a port, with a note on
// those.
func extendersAt(at, note string, r Request, dir string) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	e := schedulerconfig.Entry(schedulerconfig.Endpoint{URL: scheme + "://" + at + "/scheduler"}, r.Resources)
	var b strings.Builder
	b.WriteString("extenders:\n" + note)
	fmt.Fprintf(&b, "- urlPrefix: %s\n", e.URLPrefix)
	fmt.Fprintf(&b, "  filterVerb: %s\n  prioritizeVerb: %s\n  preemptVerb: %s\n", e.FilterVerb, e.PrioritizeVerb, e.PreemptVerb)
	fmt.Fprintf(&b, "  weight: %d\n  nodeCacheCapable: %v\n  httpTimeout: %s\n", e.Weight, e.NodeCacheCapable, e.HTTPTimeout.Duration)
	b.WriteString("  # Go on without the extender when it is unavailable.\n")
	fmt.Fprintf(&b, "  ignorable: %v\n", e.Ignorable)
	if r.TLS != nil {
		b.WriteString("  enableHTTPS: true\n  # Without a CA kube-scheduler would verify nothing.\n  tlsConfig:\n")
		fmt.Fprintf(&b, "    serverName: %s\n", r.ServerName)
		if dir == "" {
			fmt.Fprintf(&b, "    caData: %s\n    certData: %s\n    keyData: %s\n", inline(r.TLS.CA), inline(r.TLS.Cert), inline(r.TLS.Key))
		} else {
			fmt.Fprintf(&b, "    caFile: %[1]s/extender-ca.crt\n    certFile: %[1]s/scheduler.crt\n    keyFile: %[1]s/scheduler.key\n", dir)
		}
	}
	b.WriteString("  # kube-scheduler asks about pods that request one of these, and no others.\n  managedResources:\n")
	for _, m := range e.ManagedResources {
		fmt.Fprintf(&b, "  - name: %s\n", m.Name)
	}
	return b.String()
}

func inline(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// indent puts spaces before each line of a text.
func indent(text string, spaces int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Repeat(" ", spaces) + line)
	}
	return b.String()
}
