package deploy_test

import (
	"slices"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"heteroaccel.io/pkg/schedulerconfig"
)

// installed is what an installation has of the extender.
type installed struct {
	replicas int32
	// args has the last value of each flag, as the extender reads them.
	args     map[string]string
	secrets  []string
	services map[string][]string // names of the ports
	// reviews are the subjects that may ask the API server about tokens and access.
	reviews      []string
	minPods      string
	certificates map[string]certmanagerv1.CertificateSpec
}

func extenderIn(t *testing.T, dir string) installed {
	t.Helper()
	in := installed{args: map[string]string{}, services: map[string][]string{}, certificates: map[string]certmanagerv1.CertificateSpec{}}
	roles := map[string]bool{}
	objects := decode(t, render(t, dir))
	for _, obj := range objects {
		switch o := obj.(type) {
		case *appsv1.Deployment:
			if o.Name != "heteroaccel-extender" {
				continue
			}
			in.replicas = *o.Spec.Replicas
			for _, arg := range o.Spec.Template.Spec.Containers[0].Args {
				name, value, _ := strings.Cut(arg, "=")
				in.args[name] = value
			}
			for _, v := range o.Spec.Template.Spec.Volumes {
				in.secrets = append(in.secrets, v.Secret.SecretName)
			}
		case *corev1.Service:
			if o.Spec.Selector["app.kubernetes.io/name"] == "heteroaccel-extender" {
				for _, p := range o.Spec.Ports {
					in.services[o.Name] = append(in.services[o.Name], p.TargetPort.StrVal)
				}
			}
		case *rbacv1.ClusterRole:
			for _, r := range o.Rules {
				roles[o.Name] = roles[o.Name] || slices.Contains(r.Resources, "tokenreviews") || slices.Contains(r.Resources, "subjectaccessreviews")
			}
		case *policyv1.PodDisruptionBudget:
			if o.Name == "heteroaccel-extender" {
				in.minPods = o.Spec.MinAvailable.String()
			}
		case *certmanagerv1.Certificate:
			in.certificates[o.Name] = o.Spec
		}
	}
	for _, obj := range objects {
		if b, ok := obj.(*rbacv1.ClusterRoleBinding); ok && roles[b.RoleRef.Name] {
			for _, s := range b.Subjects {
				in.reviews = append(in.reviews, s.Name)
			}
		}
	}
	return in
}

// TestExtender: nobody but who may port-forward sees the pages, which need no rights.
func TestExtender(t *testing.T) {
	in := extenderIn(t, "base")
	if diff := cmp.Diff(map[string][]string{"heteroaccel-extender": {"verbs", "metrics"}}, in.services); diff != "" {
		t.Errorf("ports of Services (-want +got):\n%s", diff)
	}
	if at := in.args["--pages-bind-address"]; at != "127.0.0.1:8889" {
		t.Errorf("the pages are at %q", at)
	}
	if len(in.reviews) > 0 {
		t.Errorf("%v may ask for reviews", in.reviews)
	}
}

// TestExtenderTLS: with the components the extender takes calls from a client of its
// CA alone, and cert-manager issues a certificate that is one.
func TestExtenderTLS(t *testing.T) {
	for _, dir := range []string{"testdata/extender-tls", "testdata/cert-manager"} {
		in := extenderIn(t, dir)
		for flag, want := range map[string]string{
			"--tls-cert-file": "/certs/tls.crt", "--tls-private-key-file": "/certs/tls.key", "--client-ca-file": "/certs/ca.crt",
			"--client-allowed-names": "kube-scheduler,system:kube-scheduler",
			"--bind-address":         ":8888", "--pages-bind-address": "127.0.0.1:8889", // of the base
		} {
			if in.args[flag] != want {
				t.Errorf("%s: %s is %q, want %q", dir, flag, in.args[flag], want)
			}
		}
		if !slices.Equal(in.secrets, []string{"heteroaccel-extender-tls"}) {
			t.Errorf("%s: it mounts %v", dir, in.secrets)
		}
	}
	certificates := extenderIn(t, "testdata/cert-manager").certificates
	own, client := certificates["heteroaccel-extender"], certificates["heteroaccel-extender-client"]
	if !slices.Contains(own.DNSNames, schedulerconfig.ServiceName("heteroaccel-system")) || own.SecretName != "heteroaccel-extender-tls" {
		t.Errorf("the extender's certificate: %+v", own)
	}
	if client.CommonName != "kube-scheduler" || !slices.Contains(client.Usages, certmanagerv1.UsageClientAuth) || client.IssuerRef != own.IssuerRef {
		t.Errorf("kube-scheduler's certificate: %+v", client)
	}
}

// TestExtenderPages: the pages are served to others over TLS only, and the extender
// then may ask the API server who they are.
func TestExtenderPages(t *testing.T) {
	in := extenderIn(t, "testdata/extender-pages")
	if in.args["--pages-bind-address"] != ":8889" || in.args["--tls-cert-file"] == "" {
		t.Errorf("flags %v", in.args)
	}
	if diff := cmp.Diff(map[string][]string{"heteroaccel-extender": {"verbs", "metrics"}, "heteroaccel-extender-pages": {"pages"}}, in.services); diff != "" {
		t.Errorf("ports of Services (-want +got):\n%s", diff)
	}
	if !slices.Equal(in.reviews, []string{"heteroaccel-extender"}) {
		t.Errorf("%v may ask for reviews", in.reviews)
	}
}

func TestExtenderReplicas(t *testing.T) {
	if in := extenderIn(t, "testdata/extender-replicas"); in.replicas != 2 || in.minPods != "1" {
		t.Errorf("%d replicas, of which a drain leaves %q", in.replicas, in.minPods)
	}
}
