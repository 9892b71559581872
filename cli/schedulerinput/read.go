package schedulerinput

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/cli/distribution"
	"heteroaccel.io/cli/installer"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/schedulerconfig"
)

// Options are what a person may say instead of the cluster.
type Options struct {
	// Namespace is that of the extender.
	Namespace string
	// Address is where kube-scheduler reaches the verbs, an IP address and a port; ""
	// for the Service's.
	Address string
	// MutualTLS says that the extender takes calls of kube-scheduler alone.
	MutualTLS bool
	// Secret has kube-scheduler's certificate, its key, and the CA of the extender's,
	// as cert-manager writes them, unless the files are given.
	Secret                    string
	CAFile, CertFile, KeyFile string
	// Kubeconfig is kube-scheduler's own; "" for where the distribution has it.
	Kubeconfig string
	// Image is that of a second kube-scheduler.
	Image string
}

// extender is the name of the Deployment and of the Service.
const extender = "heteroaccel-extender"

// Read reads what the cluster knows. The errors are of a person's making, and say what
// to do.
func Read(ctx context.Context, client kubernetes.Interface, profiles []v1alpha1.InferenceProfile, o Options) (distribution.Request, error) {
	r := distribution.Request{ServerName: schedulerconfig.ServiceName(o.Namespace), Kubeconfig: o.Kubeconfig, Namespace: o.Namespace, Image: o.Image, Resources: resources(profiles)}
	var err error
	if r.Extender, err = address(ctx, client, o); err != nil {
		return r, err
	}
	d, err := client.AppsV1().Deployments(o.Namespace).Get(ctx, extender, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err): // whoever asks says it by the flag
	case err != nil:
		return r, fmt.Errorf("read the Deployment %s: %w", extender, err)
	default:
		if err := agree(d.Spec.Template.Spec, o.MutualTLS); err != nil {
			return r, err
		}
	}
	if !o.MutualTLS {
		return r, nil
	}
	if o.CAFile+o.CertFile+o.KeyFile == "" {
		r.Secret = o.Secret
	}
	r.TLS, err = certificates(ctx, client, o)
	return r, err
}

// agree compares what the extender serves with what is asked for.
func agree(spec corev1.PodSpec, mutualTLS bool) error {
	tls := len(spec.Containers) > 0 && slices.ContainsFunc(spec.Containers[0].Args, func(a string) bool { return strings.HasPrefix(a, "--tls-cert-file") })
	switch {
	case tls && !mutualTLS:
		return errors.New("the extender takes calls over HTTPS alone: add --mtls")
	case !tls && mutualTLS:
		return errors.New("the extender takes calls over HTTP: install the component deploy/extender-tls or certs/extender first, with Helm --set extender.tls.enabled=true, or leave out --mtls")
	}
	return nil
}

// address is where kube-scheduler reaches the verbs.
func address(ctx context.Context, client kubernetes.Interface, o Options) (netip.AddrPort, error) {
	if o.Address != "" {
		at, err := netip.ParseAddrPort(o.Address)
		if err != nil {
			return at, fmt.Errorf("--address %s is not IP:PORT: kube-scheduler runs in the network of its node, whose resolver does not know the names of Services; give an address such as 10.96.0.9:8888", o.Address)
		}
		return at, nil
	}
	s, err := client.CoreV1().Services(o.Namespace).Get(ctx, extender, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return netip.AddrPort{}, fmt.Errorf("there is no Service %s in namespace %s: install HeteroAccel first (docs/install.md), name its namespace with --system-namespace, or give --address IP:PORT", extender, o.Namespace)
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("read the Service %s: %w", extender, err)
	}
	ip, err := netip.ParseAddr(s.Spec.ClusterIP)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the Service %s has no address of its own (clusterIP %q): kube-scheduler cannot resolve its name; give it one, or --address IP:PORT", extender, s.Spec.ClusterIP)
	}
	for _, p := range s.Spec.Ports {
		if p.Name == "verbs" {
			return netip.AddrPortFrom(ip, uint16(p.Port)), nil // the API server holds ports to 65535
		}
	}
	return netip.AddrPort{}, fmt.Errorf("the Service %s has no port named verbs: install it again (%s), or give --address IP:PORT", extender, installer.Command(s.Annotations))
}

// resources are the well-known ones and those of the profiles.
func resources(profiles []v1alpha1.InferenceProfile) []string {
	var used []string
	for _, p := range profiles {
		for _, v := range p.Spec.Variants {
			used = append(used, accel.DeviceResources(v.Limits)...)
		}
	}
	all, _ := schedulerconfig.Resources(used)
	return all
}

// certificates are from files, or from the Secret.
func certificates(ctx context.Context, client kubernetes.Interface, o Options) (*distribution.TLS, error) {
	if o.CAFile+o.CertFile+o.KeyFile != "" {
		if o.CAFile == "" || o.CertFile == "" || o.KeyFile == "" {
			return nil, errors.New("--ca-file, --cert-file and --key-file go together: without a CA kube-scheduler would verify nothing, and without the others the extender would refuse it")
		}
		var t distribution.TLS
		for file, into := range map[string]*[]byte{o.CAFile: &t.CA, o.CertFile: &t.Cert, o.KeyFile: &t.Key} {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read a certificate: %w", err)
			}
			*into = data
		}
		return &t, nil
	}
	s, err := client.CoreV1().Secrets(o.Namespace).Get(ctx, o.Secret, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("there is no Secret %s in namespace %s, in which cert-manager keeps kube-scheduler's certificate (certs/extender): name another with --client-secret, or give --ca-file, --cert-file and --key-file", o.Secret, o.Namespace)
	case err != nil:
		return nil, fmt.Errorf("read the Secret %s: %w", o.Secret, err)
	}
	return &distribution.TLS{CA: s.Data["ca.crt"], Cert: s.Data[corev1.TLSCertKey], Key: s.Data[corev1.TLSPrivateKeyKey]}, nil
}
