package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"heteroaccel.io/e2e/stack"
)

const (
	namespace = stack.Namespace
	extender  = "heteroaccel-extender"
	pages     = extender + "-pages"
	// Onlooker is the service account, in the default namespace, of those who look at
	// the extender's pages.
	Onlooker = "onlooker"
	// Prometheus keeps the name of its Service in deploy/prometheus.
	prometheus = "heteroaccel-prometheus"
)

// install installs what a cluster has before us, and then us, from manifests.
func (e *Edge) install(ctx context.Context) error {
	begin := time.Now()
	from := filepath.Join(e.Root, "e2e", "edge")
	if e.late {
		from = filepath.Join(from, "late")
	}
	for _, step := range []func() error{
		func() error { return e.Install(ctx) },
		func() error { return e.Run(ctx, "apply", "--server-side", "-k", filepath.Join(from, "install")) },
		func() error { return e.secure(ctx) },
		func() error { return e.Ready(ctx) },
		func() error { return e.Established(ctx, "inferenceprofiles.heteroaccel.io") },
		func() error { return e.Run(ctx, "apply", "--server-side", "-k", filepath.Join(from, "registry")) },
		func() error {
			return e.Rollout(ctx, stack.ExporterNamespace, "daemonset/heteroaccel-exporter")
		},
		func() error {
			return e.Rollout(ctx, namespace, "deployment/"+prometheus, "deployment/"+extender, "deployment/"+connector)
		},
		func() error { return e.configureScheduler(ctx) },
		func() error { return e.Wait(ctx, e.ready) },
		func() error { return e.Wait(ctx, e.claimable) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	e.Sayf("%-24s in %.1f s", "installed", time.Since(begin).Seconds())
	return nil
}

// secure looks up the Services' addresses, gives the extender its certificate, for
// its names and for the address of its pages, and the onlooker a token.
func (e *Edge) secure(ctx context.Context) error {
	services := map[string]*corev1.Service{}
	for _, name := range []string{extender, pages, prometheus, connector} {
		service, err := e.Client().CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("look up the address of %s: %w", name, err)
		}
		services[name] = service
	}
	address := func(name string) string {
		spec := services[name].Spec
		return fmt.Sprintf("%s:%d", spec.ClusterIP, spec.Ports[0].Port)
	}
	e.verbs = "https://" + address(extender)
	e.Extender, e.Prometheus, e.Connector = "https://"+address(pages), "http://"+address(prometheus), "http://"+address(connector)
	cert, key, err := e.Certificate(extender, extender+"."+namespace+".svc", services[pages].Spec.ClusterIP)
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(e.CA())
	if err != nil {
		return fmt.Errorf("read the cluster's CA: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	e.http = &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
	}
	if e.token, err = e.tokenOf(ctx, Onlooker); err != nil {
		return err
	}
	return e.Run(ctx, "-n", namespace, "create", "secret", "generic", extender+"-tls",
		"--from-file=tls.crt="+cert, "--from-file=tls.key="+key, "--from-file=ca.crt="+e.CA())
}

// configureScheduler starts the scheduler again with the extender of
// deploy/scheduler, over mutual TLS as its README says. Pods that are bound late need none.
func (e *Edge) configureScheduler(ctx context.Context) error {
	if e.late {
		return nil
	}
	extenders, err := stack.Extenders(e.Root)
	if err != nil {
		return err
	}
	cert, key, err := e.ClientCertificate("extender-client", "kube-scheduler")
	if err != nil {
		return err
	}
	for i := range extenders {
		x := &extenders[i]
		x.URLPrefix, x.EnableHTTPS = e.verbs+"/scheduler", true
		x.TLSConfig = &schedulerv1.ExtenderTLSConfig{ServerName: extender + "." + namespace + ".svc", CAFile: e.CA(), CertFile: cert, KeyFile: key}
	}
	return e.RestartScheduler(ctx, extenders)
}

// ready returns nil once the API server asks the webhook, and the extender has
// heard of every node.
func (e *Edge) ready(ctx context.Context) error {
	view, err := e.Inventory(ctx)
	if err != nil {
		return err
	}
	for name := range e.Nodes {
		if !view.Fresh(name) {
			return fmt.Errorf("the extender has no fresh telemetry of node %s", name)
		}
	}
	return stack.Registered(ctx, e.Client())
}
