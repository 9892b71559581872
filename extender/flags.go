package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/extender/access"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/program"
	"heteroaccel.io/pkg/schedulerconfig"
)

// flags are the command line; main alone reads it and the environment.
type flags struct {
	bindAddress, pagesBindAddress         string
	metricsBindAddress, healthBindAddress string
	tlsCert, tlsKey, clientCA             string
	clientNames                           []string
	schedulerURL                          string
	// serviceHost and servicePort are where the Service is, as the kubelet says.
	serviceHost, servicePort string
	hostname                 string

	kube      kube.Flags
	telemetry monitor.Flags
	unmanaged bool
	namespace string

	resourceClaims bool

	webhooks    []string
	webhookPort int
}

func (f *flags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.bindAddress, "bind-address", ":8888", "address of the verbs, which kube-scheduler calls: HTTPS with --tls-cert-file, else HTTP")
	fs.StringVar(&f.pagesBindAddress, "pages-bind-address", "127.0.0.1:8889", "address of the pages for people. On a loopback address, which kubectl port-forward reaches, HTTP for everybody who is there; on any other HTTPS, for those whose token the API server knows, who see what they may list")
	fs.StringVar(&f.metricsBindAddress, "metrics-bind-address", ":8080", "address of /metrics, HTTP")
	fs.StringVar(&f.healthBindAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz, HTTP; may be that of the metrics")
	fs.StringVar(&f.tlsCert, "tls-cert-file", "", "certificate file, read again when it changes")
	fs.StringVar(&f.tlsKey, "tls-private-key-file", "", "private key file of --tls-cert-file")
	fs.StringVar(&f.clientCA, "client-ca-file", "", "file of the CA of kube-scheduler's client certificate, read again when it changes: calls without one are refused; default: calls are taken from whoever reaches --bind-address")
	fs.StringSliceVar(&f.clientNames, "client-allowed-names", nil, "common names that the certificate of --client-ca-file may have; default: any")
	fs.StringVar(&f.schedulerURL, "scheduler-url", "", "URL at which kube-scheduler reaches the verbs, for /scheduler/config; default: by the address of the Service heteroaccel-extender, or by --bind-address where that names a host")
	f.serviceHost, f.servicePort = os.Getenv("HETEROACCEL_EXTENDER_SERVICE_HOST"), os.Getenv("HETEROACCEL_EXTENDER_SERVICE_PORT")
	f.hostname, _ = os.Hostname() // "" is no pod's
	f.telemetry.Add(fs)
	fs.BoolVar(&f.unmanaged, "unmanaged-pods", true, "also keep pods that HeteroAccel did not admit, such as those pinned to an accelerator by hand, off devices that are unhealthy or used outside Kubernetes; false leaves those pods alone")
	fs.BoolVar(&f.resourceClaims, "resource-claims", false, "watch what Dynamic Resource Allocation has of devices, and which ResourceClaims have them, so that the pages show what pods wait for that are bound late, and what they got; needs get, list and watch on the resources of resource.k8s.io")
	fs.StringSliceVar(&f.webhooks, "webhook-addresses", nil, "host:port of each replica of the webhook, whose decisions the pages show; default: the pods of ServiceAccount heteroaccel-webhook in --namespace, at --webhook-port")
	fs.IntVar(&f.webhookPort, "webhook-port", 8443, "port of the webhook's pods, that of their --bind-address")
	fs.StringVar(&f.namespace, "namespace", program.EnvOr("POD_NAMESPACE", "heteroaccel-system"), "namespace of the webhook, whose key verifies which pods are ours, and of the Service heteroaccel-extender")
	f.kube.Add(fs)
}

func (f *flags) check() error {
	switch {
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return errors.New("--tls-cert-file and --tls-private-key-file go together: give both, or neither for HTTP")
	case f.clientCA != "" && f.tlsCert == "":
		return errors.New("--client-ca-file needs --tls-cert-file: without HTTPS there are no client certificates")
	case len(f.clientNames) > 0 && f.clientCA == "":
		return errors.New("--client-allowed-names needs --client-ca-file: give the CA whose certificates may have these names")
	case !access.Loopback(f.pagesBindAddress) && f.tlsCert == "":
		return fmt.Errorf("--pages-bind-address %s is not a loopback address and needs --tls-cert-file: tokens must not go over plain HTTP", f.pagesBindAddress)
	}
	if f.webhookPort < 1 || f.webhookPort > 65535 {
		return fmt.Errorf("--webhook-port %d: give a port, 1 to 65535", f.webhookPort)
	}
	for _, address := range f.webhooks {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("--webhook-addresses %q: give host:port: %w", address, err)
		}
	}
	if u, err := url.Parse(f.schedulerURL); f.schedulerURL != "" && (err != nil || u.Host == "" || u.Scheme != f.scheme()) {
		return fmt.Errorf("--scheduler-url %q: give the URL of the verbs, such as %s", f.schedulerURL, f.verbsURL("10.96.0.9"))
	}
	return errors.Join(f.telemetry.Check(), f.kube.Check())
}

func (f *flags) scheme() string {
	if f.tlsCert != "" {
		return "https"
	}
	return "http"
}

// verbsURL is where kube-scheduler finds the verbs at a host.
func (f *flags) verbsURL(host string) string {
	_, port, err := net.SplitHostPort(f.bindAddress)
	if err != nil {
		port = "8888"
	}
	return f.scheme() + "://" + net.JoinHostPort(host, port) + "/scheduler"
}

// endpoint is how kube-scheduler calls the verbs.
func (f *flags) endpoint() schedulerconfig.Endpoint {
	e := schedulerconfig.Endpoint{URL: f.schedulerURL, ClientCertificate: f.clientCA != ""}
	service := schedulerconfig.ServiceName(f.namespace) // which is the webhook's too
	if f.tlsCert != "" {
		e.ServerName = service
	}
	if e.URL != "" {
		return e
	}
	host, _, err := net.SplitHostPort(f.bindAddress)
	ip, notIP := netip.ParseAddr(host)
	if everywhere := host == "" || notIP == nil && ip.IsUnspecified(); err == nil && !everywhere {
		e.URL = f.verbsURL(host)
		return e
	}
	if f.serviceHost != "" && f.servicePort != "" {
		e.URL = f.scheme() + "://" + net.JoinHostPort(f.serviceHost, f.servicePort) + "/scheduler"
		return e
	}
	e.URL = f.verbsURL(service)
	return e
}

// serviceAccount is that of the extender's pods.
const serviceAccount = "heteroaccel-extender"

// other tells the other replicas' pods: those of the same account, in the same
// namespace. A pod's host name is its name.
func (f *flags) other() func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		return p.Namespace == f.namespace && p.Spec.ServiceAccountName == serviceAccount && p.Name != f.hostname
	}
}
