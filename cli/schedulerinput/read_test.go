package schedulerinput

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"heteroaccel.io/pkg/profile/v1alpha1"
)

const namespace = "heteroaccel-system"

func service(ip string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: extender},
		Spec:       corev1.ServiceSpec{ClusterIP: ip, Ports: []corev1.ServicePort{{Name: "metrics", Port: 8080}, {Name: "verbs", Port: 8888}}},
	}
}

func deployment(args ...string) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: extender},
		Spec:       appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: args}}}}},
	}
}

var (
	verbless = &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: extender, Annotations: map[string]string{"meta.helm.sh/release-name": "ours", "meta.helm.sh/release-namespace": "accel"}},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.96.0.9"},
	}
	secret = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "heteroaccel-extender-client"},
		Data:       map[string][]byte{"ca.crt": []byte("CA"), "tls.crt": []byte("certificate"), "tls.key": []byte("key")},
	}
	profiles = []v1alpha1.InferenceProfile{{Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
		{Limits: map[corev1.ResourceName]v1alpha1.Amount{"example.com/dla": resource.MustParse("1"), "memory": resource.MustParse("1Gi")}},
		{Limits: map[corev1.ResourceName]v1alpha1.Amount{"cpu": resource.MustParse("2")}},
	}}}}
)

// TestRead: the extender's address is the Service's or the one that was given, and what
// kube-scheduler could not use is refused.
func TestRead(t *testing.T) {
	for name, tt := range map[string]struct {
		objects []runtime.Object
		options Options
		address string // or a part of the refusal
		refused string
		tls     bool
	}{
		"Service":               {objects: []runtime.Object{service("10.96.0.9"), deployment()}, address: "10.96.0.9:8888"},
		"IPv6":                  {objects: []runtime.Object{service("fd00::9"), deployment()}, address: "[fd00::9]:8888"},
		"given":                 {options: Options{Address: "192.0.2.1:30888"}, address: "192.0.2.1:30888"},
		"a name":                {options: Options{Address: "heteroaccel-extender.heteroaccel-system.svc:8888"}, refused: "does not know the names of Services"},
		"no port":               {options: Options{Address: "192.0.2.1"}, refused: "is not IP:PORT"},
		"headless":              {objects: []runtime.Object{service("None"), deployment()}, refused: "has no address of its own"},
		"no port of verbs":      {objects: []runtime.Object{verbless, deployment()}, refused: "helm upgrade ours deploy/helm/heteroaccel -n accel --reuse-values"},
		"not installed":         {refused: "install HeteroAccel first"},
		"TLS":                   {objects: []runtime.Object{service("10.96.0.9"), deployment("--tls-cert-file=/certs/tls.crt"), secret}, options: Options{MutualTLS: true}, address: "10.96.0.9:8888", tls: true},
		"TLS, not said":         {objects: []runtime.Object{service("10.96.0.9"), deployment("--tls-cert-file=/certs/tls.crt")}, refused: "add --mtls"},
		"TLS, not served":       {objects: []runtime.Object{service("10.96.0.9"), deployment()}, options: Options{MutualTLS: true}, refused: "deploy/extender-tls or certs/extender first"},
		"TLS without a Secret":  {objects: []runtime.Object{service("10.96.0.9"), deployment("--tls-cert-file=/certs/tls.crt")}, options: Options{MutualTLS: true}, refused: "there is no Secret heteroaccel-extender-client"},
		"TLS, one file":         {objects: []runtime.Object{service("10.96.0.9")}, options: Options{MutualTLS: true, CertFile: "x"}, refused: "go together"},
		"TLS, file that is not": {objects: []runtime.Object{service("10.96.0.9")}, options: Options{MutualTLS: true, CertFile: "x", KeyFile: "x", CAFile: "x"}, refused: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			o := tt.options
			o.Namespace, o.Secret = namespace, secret.Name
			r, err := Read(t.Context(), fake.NewClientset(tt.objects...), profiles, o)
			switch {
			case tt.refused != "":
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("got %v, want %q", err, tt.refused)
				}
			case err != nil:
				t.Error(err)
			case r.Extender.String() != tt.address || (r.TLS != nil) != tt.tls || r.ServerName != "heteroaccel-extender.heteroaccel-system.svc":
				t.Errorf("%+v", r)
			case !slices.Contains(r.Resources, "example.com/dla") || !slices.Contains(r.Resources, "gpu.intel.com/i915") || slices.Contains(r.Resources, "memory"):
				t.Errorf("resources %v", r.Resources)
			case tt.tls && (string(r.TLS.CA) != "CA" || string(r.TLS.Cert) != "certificate" || string(r.TLS.Key) != "key"):
				t.Errorf("%s", r.TLS)
			}
		})
	}
}

// TestFiles: certificates that were made by hand are read from files.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	o := Options{Namespace: namespace, MutualTLS: true}
	for name, file := range map[string]*string{"ca": &o.CAFile, "cert": &o.CertFile, "key": &o.KeyFile} {
		*file = filepath.Join(dir, name)
		if err := os.WriteFile(*file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Read(t.Context(), fake.NewClientset(service("10.96.0.9")), nil, o)
	if err != nil || string(r.TLS.CA) != "ca" || string(r.TLS.Cert) != "cert" || string(r.TLS.Key) != "key" {
		t.Errorf("%+v, %v", r.TLS, err)
	}
}
