package explain

import (
	"net/http"
	"strconv"

	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"heteroaccel.io/pkg/schedulerconfig"
)

// configView is what /scheduler/config shows: the part of a
// KubeSchedulerConfiguration that tells kube-scheduler to ask the extender.
type configView struct {
	Extenders []schedulerv1.Extender `json:"extenders"`

	added map[string]bool // resources that are not in the shipped file
}

// schedulerConfig shows the entry with the address at which the scheduler reaches
// the verbs.
func (s *Pages) schedulerConfig(_ *http.Request, who *viewer) (view, error) {
	if err := who.need(profileResource, ""); err != nil {
		return nil, err
	}
	var used []string
	for name := range s.Profiles.ResourceKinds() {
		used = append(used, string(name))
	}
	all, added := schedulerconfig.Resources(used)
	v := &configView{[]schedulerv1.Extender{schedulerconfig.Entry(s.VerbsAt, all)}, map[string]bool{}}
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
			if e.TLSConfig.CertFile != "" {
				p.line("    certFile: " + e.TLSConfig.CertFile)
				p.line("    keyFile: " + e.TLSConfig.KeyFile)
			}
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
