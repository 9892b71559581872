package distribution

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Request is what the files are about.
type Request struct {
	// Extender is where kube-scheduler reaches the verbs. It is an address and no
	// name: kube-scheduler runs in the network of its node, whose resolver does not
	// know the names of Services.
	Extender netip.AddrPort
	// ServerName is the name in the extender's certificate.
	ServerName string
	// Namespace is that of the extender and of a second kube-scheduler.
	Namespace string
	// Image is that of a second kube-scheduler; the cluster's own has one.
	Image string
	// Resources are what kube-scheduler asks about.
	Resources []string
	// TLS has the certificates; nil for HTTP. Secret is where they are in the cluster,
	// "" for nowhere.
	TLS    *TLS
	Secret string
	// Kubeconfig is how kube-scheduler reaches the API server; "" for where the
	// distribution has it.
	Kubeconfig string
	// Flags are those with which heteroaccel check finds the installation; nil for none.
	Flags []string
}

// TLS are PEM blocks: the CA of the extender's certificate, and kube-scheduler's
// own certificate and key.
type TLS struct{ CA, Cert, Key []byte }

// check refuses what kube-scheduler would take, and not verify.
func (t *TLS) check() error {
	if !hasCertificate(t.CA) {
		return errors.New("there is no certificate of a CA: with HTTPS and no CA kube-scheduler would verify nothing; give the CA of the extender's certificate")
	}
	if !hasCertificate(t.Cert) || len(bytes.TrimSpace(t.Key)) == 0 {
		return errors.New("kube-scheduler has no certificate and key of its own: the extender would refuse it; give both")
	}
	return nil
}

func hasCertificate(data []byte) bool {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return false
	}
	_, err := x509.ParseCertificate(block.Bytes)
	return err == nil
}

// File is a file to write.
type File struct {
	// Name is its name in the directory that the plan is written to.
	Name string
	// Place says where it goes, or what it is merged into.
	Place string
	Mode  fs.FileMode
	// Secret files are not printed.
	Secret bool
	Data   []byte
}

// Plan is all there is to do on one distribution.
type Plan struct {
	Distribution string
	Files        []File
	// Steps are sentences and commands, in their order. Commands begin with "$ ".
	Steps []string
}

// distributions have the plan of each, by the name that --for takes.
var distributions = map[string]distribution{
	"kubeadm":  {dir: "/etc/kubernetes/heteroaccel", kubeconfig: "/etc/kubernetes/scheduler.conf", pod: true, complete: kubeadm},
	"kind":     {dir: "/etc/kubernetes/heteroaccel", kubeconfig: "/etc/kubernetes/scheduler.conf", pod: true, complete: kind},
	"minikube": {dir: "/etc/kubernetes/heteroaccel", kubeconfig: "/etc/kubernetes/scheduler.conf", pod: true, complete: minikube},
	"k3s":      {dir: "/etc/rancher/k3s/heteroaccel", kubeconfig: "/var/lib/rancher/k3s/server/cred/scheduler.kubeconfig", complete: k3s},
	"rke2":     {dir: "/etc/rancher/rke2/heteroaccel", kubeconfig: "/var/lib/rancher/rke2/server/cred/scheduler.kubeconfig", pod: true, complete: rke2},
	"k0s":      {dir: "/etc/k0s/heteroaccel", kubeconfig: "/var/lib/k0s/pki/scheduler.conf", complete: k0s},
	"talos":    {complete: talos},
	"second":   {complete: second},
}

type distribution struct {
	// dir is where the files are for kube-scheduler, and kubeconfig how it reaches
	// the API server; "" where the distribution takes care of them.
	dir, kubeconfig string
	// pod says that kube-scheduler is a pod whose command line has the file.
	pod bool
	// complete adds what the distribution itself needs.
	complete func(d distribution, r Request, p *Plan)
}

// Names are the distributions, sorted.
func Names() []string { return slices.Sorted(maps.Keys(distributions)) }

// For is the plan for a distribution. The error is of a person's making, and says
// what to give.
func For(name string, r Request) (Plan, error) {
	d, ok := distributions[name]
	switch {
	case !ok:
		return Plan{}, fmt.Errorf("there is no plan for %q: choose one of %s", name, strings.Join(Names(), ", "))
	case !r.Extender.IsValid() || r.Extender.Port() == 0 || r.Extender.Addr().IsUnspecified():
		return Plan{}, errors.New("the extender's address is unknown: give it as IP:PORT")
	}
	if r.TLS != nil {
		if err := r.TLS.check(); err != nil {
			return Plan{}, err
		}
	}
	if name == "second" {
		if err := checkSecond(r); err != nil {
			return Plan{}, err
		}
	}
	if r.Kubeconfig != "" {
		d.kubeconfig = r.Kubeconfig
	}
	p := Plan{Distribution: name}
	if d.dir != "" {
		p.Files = append(p.Files, d.files(r)...)
	}
	d.complete(d, r, &p)
	if d.pod {
		p.Steps = append(p.Steps,
			"Check that it took effect: the first must show the flag or the file in use, the second must say OK for the scheduler.",
			"$ kubectl -n kube-system get pods -l component=kube-scheduler -o yaml | grep -- --config")
	} else {
		p.Steps = append(p.Steps, "Check that it took effect: it must say OK for the scheduler.")
	}
	p.Steps = append(p.Steps, strings.Join(append([]string{"$ heteroaccel check"}, r.Flags...), " "))
	return p, nil
}

// files are kube-scheduler's configuration and the certificates that it names.
func (d distribution) files(r Request) []File {
	fs := []File{{Name: "kube-scheduler.yaml", Place: d.dir + "/kube-scheduler.yaml", Mode: 0o644, Data: []byte(configuration(r, d.dir, d.kubeconfig))}}
	if r.TLS == nil {
		return fs
	}
	return append(fs,
		File{Name: "extender-ca.crt", Place: d.dir + "/extender-ca.crt", Mode: 0o644, Data: r.TLS.CA},
		File{Name: "scheduler.crt", Place: d.dir + "/scheduler.crt", Mode: 0o644, Data: r.TLS.Cert},
		File{Name: "scheduler.key", Place: d.dir + "/scheduler.key", Mode: 0o600, Secret: true, Data: r.TLS.Key})
}

// Print is the plan as a stream of YAML documents, whose comments say what goes
// where. It has no secret.
func (p Plan) Print() string {
	var b strings.Builder
	for _, f := range p.Files {
		fmt.Fprintf(&b, "---\n# %s: %s\n", f.Name, f.Place)
		switch {
		case f.Secret:
			fmt.Fprintf(&b, "# Mode %o. It is secret and not shown: --to DIR writes it.\n", f.Mode)
		case strings.HasSuffix(f.Name, ".yaml"):
			b.Write(f.Data)
		default:
			for line := range strings.Lines(string(f.Data)) {
				b.WriteString("# " + line)
			}
		}
	}
	fmt.Fprintf(&b, "---\n# What to do on %s. DIR is where --to wrote the files.\n", p.Distribution)
	for _, s := range p.Steps {
		for line := range strings.Lines(s) {
			b.WriteString("#   " + strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return b.String()
}
