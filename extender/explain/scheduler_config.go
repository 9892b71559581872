package explain

import (
	"net/http"
	"regexp"
	"strconv"

	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"heteroaccel.io/extender/schedulerconfig"
)

// configView is what /scheduler/config shows: the part of a
// KubeSchedulerConfiguration that tells kube-scheduler to ask the extender.
type configView struct {
	Extenders []schedulerv1.Extender `json:"extenders"`

	added map[string]bool // resources that are not in the shipped file
}

const (
	// serviceHost is where the Service of deploy/base is, and the name in the
	// certificate of deploy/extender-tls.
	serviceHost = "heteroaccel-extender.heteroaccel-system.svc"
	// caFile is where deploy/scheduler puts the CA's certificate.
	caFile = "/etc/kubernetes/heteroaccel/extender-ca.crt"
)

// hostPattern is what may stand in a URL and in YAML without quotes. A Host
// header that does not match is not used.
var hostPattern = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?$`)

// schedulerConfig shows the entry with the address that the client used.
func (s *Pages) schedulerConfig(r *http.Request) (view, error) {
	var used []string
	for name := range s.Profiles.ResourceKinds() {
		used = append(used, string(name))
	}
	all, added := schedulerconfig.Resources(used)
	host, scheme := r.Host, "http"
	if !hostPattern.MatchString(host) {
		host = serviceHost + ":8888"
	}
	if r.TLS != nil {
		scheme = "https"
	}
	e := schedulerconfig.Entry(scheme+"://"+host+"/scheduler", all)
	if r.TLS != nil {
		e.EnableHTTPS = true
		e.TLSConfig = &schedulerv1.ExtenderTLSConfig{ServerName: serviceHost, CAFile: caFile}
	}
	v := &configView{[]schedulerv1.Extender{e}, map[string]bool{}}
	for _, name := range added {
		v.added[name] = true
	}
	return v, nil
}

// text is YAML, with its keys in the order of the shipped file.
func (v *configView) text(p *page) {
	p.line("# For KubeSchedulerConfiguration. kube-scheduler must reach urlPrefix: on the")
	p.line("# host network it cannot resolve the names of Services.")
	p.line("extenders:")
	for _, e := range v.Extenders {
		p.line("- urlPrefix: " + e.URLPrefix)
		p.line("  filterVerb: " + e.FilterVerb)
		p.line("  prioritizeVerb: " + e.PrioritizeVerb)
		p.line("  preemptVerb: " + e.PreemptVerb)
		p.line("  weight: " + strconv.FormatInt(e.Weight, 10))
		if e.TLSConfig != nil {
			p.line("  enableHTTPS: true")
			p.line("  tlsConfig:")
			p.line("    serverName: " + e.TLSConfig.ServerName)
			p.line("    caFile: " + e.TLSConfig.CAFile)
		}
		p.line("  nodeCacheCapable: " + strconv.FormatBool(e.NodeCacheCapable))
		p.line("  httpTimeout: " + e.HTTPTimeout.Duration.String())
		p.line("  ignorable: " + strconv.FormatBool(e.Ignorable))
		p.line("  managedResources:")
		for _, m := range e.ManagedResources {
			line := "  - name: " + m.Name
			if v.added[m.Name] {
				line += " # from a profile"
			}
			p.line(line)
		}
	}
}
