package distribution

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	yamlv3 "go.yaml.in/yaml/v3"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/pkg/schedulerconfig"
)

var update = flag.Bool("update", false, "write the golden files")

// certificate is a CA that was made for these tests; its key is gone.
func certificate(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func request(t *testing.T, tls bool) Request {
	t.Helper()
	r := Request{
		Extender: netip.MustParseAddrPort("10.96.0.9:8888"), ServerName: schedulerconfig.ServiceName("heteroaccel-system"),
		Resources: []string{"example.com/dla", "gpu.intel.com/i915"},
		Namespace: "heteroaccel-system", Image: "registry.example/kube-scheduler:v1.37.2",
	}
	if tls {
		r.Secret = "heteroaccel-extender-client"
		r.TLS = &TLS{CA: certificate(t), Cert: certificate(t), Key: []byte("very secret\n")}
	}
	return r
}

// TestPlanChecks: the last command finds an installation in other namespaces.
func TestPlanChecks(t *testing.T) {
	r := request(t, false)
	r.Flags = []string{"--system-namespace", "accel"}
	plan, err := For("kubeadm", r)
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Steps[len(plan.Steps)-1]; got != "$ heteroaccel check --system-namespace accel" {
		t.Errorf("the last step is %q", got)
	}
}

// TestPlans: what is printed is that of the golden files, is YAML as a whole, and has
// no secret.
func TestPlans(t *testing.T) {
	for _, name := range Names() {
		for suffix, tls := range map[string]bool{"": false, "-tls": true} {
			t.Run(name+suffix, func(t *testing.T) {
				plan, err := For(name, request(t, tls))
				if err != nil {
					t.Fatal(err)
				}
				got := plan.Print()
				golden := filepath.Join("testdata", name+suffix+".yaml")
				if *update {
					if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if strings.Contains(got, "very secret") || strings.Contains(got, inline([]byte("very secret\n"))) {
					t.Error("the key is printed")
				}
				for d := yamlv3.NewDecoder(strings.NewReader(got)); ; {
					var document any
					if err := d.Decode(&document); errors.Is(err, io.EOF) {
						break
					} else if err != nil {
						t.Fatalf("it is not YAML: %v", err)
					}
				}
			})
		}
	}
}

// TestKubeScheduler: kube-scheduler's own types take every configuration strictly, and
// an extender over TLS is verified.
func TestKubeScheduler(t *testing.T) {
	for _, name := range Names() {
		for _, tls := range []bool{false, true} {
			plan, err := For(name, request(t, tls))
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, f := range plan.Files {
				raw, ok := schedulerPart(t, f)
				if !ok {
					continue
				}
				found++
				var config schedulerv1.KubeSchedulerConfiguration
				if err := yaml.UnmarshalStrict(raw, &config); err != nil {
					t.Fatalf("%s: %s: %v\n%s", name, f.Name, err, raw)
				}
				checkConfiguration(t, name, config, tls)
			}
			if want := map[bool]int{true: 2, false: 1}[name == "talos"]; found != want {
				t.Errorf("%s has %d configurations of kube-scheduler, want %d", name, found, want)
			}
		}
	}
}

// schedulerPart is what a file has of kube-scheduler's configuration.
func schedulerPart(t *testing.T, f File) (raw []byte, ok bool) {
	t.Helper()
	switch f.Name {
	case "kube-scheduler.yaml":
		return f.Data, true
	case "second-scheduler.yaml":
		return []byte(secondObjects(t, f.Data).config.Data["kube-scheduler.yaml"]), true
	case "talos.yaml", "talos-1.14.yaml":
		type config struct {
			Config map[string]any `json:"config"`
		}
		var patch struct {
			config     `json:",inline"`
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Cluster    struct {
				Scheduler config `json:"scheduler"`
			} `json:"cluster"`
		}
		if err := yaml.UnmarshalStrict(f.Data, &patch); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if patch.Config == nil {
			patch.config = patch.Cluster.Scheduler
		}
		raw, err := yaml.Marshal(patch.Config)
		if err != nil {
			t.Fatal(err)
		}
		return raw, true
	}
	return nil, false
}

func checkConfiguration(t *testing.T, name string, config schedulerv1.KubeSchedulerConfiguration, tls bool) {
	t.Helper()
	if len(config.Extenders) != 1 {
		t.Fatalf("%s: %d extenders", name, len(config.Extenders))
	}
	e := config.Extenders[0]
	host := "10.96.0.9"
	switch name {
	case "talos":
	case "second": // in a pod
		host = "heteroaccel-extender.heteroaccel-system.svc"
		if l := config.LeaderElection; l.LeaderElect == nil || !*l.LeaderElect || l.ResourceName != Second || l.ResourceNamespace != "heteroaccel-system" || config.ClientConnection.Kubeconfig != "" {
			t.Errorf("it would not elect a leader beside the cluster's own: %+v", config)
		}
		if len(config.Profiles) != 1 || config.Profiles[0].SchedulerName == nil || *config.Profiles[0].SchedulerName != Second {
			t.Errorf("it has the profiles %+v", config.Profiles)
		}
	default:
		if config.ClientConnection.Kubeconfig == "" || config.LeaderElection.LeaderElect == nil || !*config.LeaderElection.LeaderElect {
			t.Errorf("%s: kube-scheduler would not find its API server, or not elect a leader: %+v", name, config)
		}
	}
	if name != "talos" && config.Kind != "KubeSchedulerConfiguration" {
		t.Errorf("%s: its kind is %q", name, config.Kind)
	}
	if want := map[bool]string{false: "http://", true: "https://"}[tls] + host + ":8888/scheduler"; e.URLPrefix != want {
		t.Errorf("%s: urlPrefix %s, want %s", name, e.URLPrefix, want)
	}
	verified := e.TLSConfig != nil && e.TLSConfig.CAFile+string(e.TLSConfig.CAData) != "" && e.TLSConfig.CertFile+string(e.TLSConfig.CertData) != "" && e.TLSConfig.ServerName != ""
	if e.EnableHTTPS != tls || verified != tls || !e.Ignorable || !e.NodeCacheCapable || len(e.ManagedResources) != 2 {
		t.Errorf("%s: %+v", name, e)
	}
}

// TestKind: kind's own types take its file.
func TestKind(t *testing.T) {
	plan, err := For("kind", request(t, false))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(plan.Files, func(f File) bool { return f.Name == "kind.yaml" })
	d := yamlv3.NewDecoder(bytes.NewReader(plan.Files[i].Data))
	d.KnownFields(true)
	var cluster v1alpha4.Cluster
	if err := d.Decode(&cluster); err != nil {
		t.Fatal(err)
	}
	if n := cluster.Nodes[0]; len(n.ExtraMounts) != 1 || len(n.KubeadmConfigPatches) != 1 || !n.ExtraMounts[0].Readonly {
		t.Errorf("kind reads %+v", n)
	}
}

// TestRefused: a plan with which kube-scheduler would not find the extender, or not
// verify it, is none.
func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		distribution string
		change       func(*Request)
		want         string
	}{
		"unknown distribution": {"openshift", func(*Request) {}, "choose one of k0s, k3s, kind, kubeadm, minikube, rke2, second, talos"},
		"no address":           {"kubeadm", func(r *Request) { r.Extender = netip.AddrPort{} }, "give it as IP:PORT"},
		"any address":          {"kubeadm", func(r *Request) { r.Extender = netip.MustParseAddrPort("0.0.0.0:8888") }, "give it as IP:PORT"},
		"no CA":                {"kubeadm", func(r *Request) { r.TLS.CA = nil }, "kube-scheduler would verify nothing"},
		"CA is no certificate": {"talos", func(r *Request) { r.TLS.CA = []byte("-----BEGIN CERTIFICATE-----\nMQ==\n-----END CERTIFICATE-----\n") }, "kube-scheduler would verify nothing"},
		"no client key":        {"k3s", func(r *Request) { r.TLS.Key = nil }, "the extender would refuse it"},
		"no image":             {"second", func(r *Request) { r.Image = "" }, "give --image"},
		"image is no name":     {"second", func(r *Request) { r.Image = "a: b" }, "cannot be the name of an image"},
		"no Secret":            {"second", func(r *Request) { r.Secret = "" }, "name it with --client-secret"},
		"no client cert":       {"rke2", func(r *Request) { r.TLS.Cert = []byte("x") }, "the extender would refuse it"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, true)
			tt.change(&r)
			if _, err := For(tt.distribution, r); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
