// Package deploy_test checks the manifests under deploy/ and certs/: that each
// file is strictly what it says it is, that every kustomization renders, and
// that the profiles can be used. It needs no cluster.
package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/schedulerconfig"
)

// patches are parts of objects, and so are decoded only after they are merged.
var patches = []string{"../certs/webhook.yaml", "../certs/flags.yaml", "../certs/registration.yaml", "../certs/self-signed.yaml",
	"extender-tls/deployment.yaml", "extender-tls/flags.yaml", "extender-pages/flags.yaml", "extender-replicas/deployment.yaml",
	"webhook-client-ca/deployment.yaml", "webhook-client-ca/flags.yaml", "external-use/daemonset.yaml", "external-use/flags.yaml",
	"device-driver/daemonset.yaml", "device-driver/flags.yaml",
	"no-readmission/flags.yaml", "no-readmission/rights.yaml", "late-binding/flags.yaml", "late-binding/extender-flags.yaml"}

// files lists the YAML files of deploy/ and certs/.
func files(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, root := range []string{".", "../certs"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if path == "helm" {
				return fs.SkipDir // templates
			}
			if filepath.Ext(path) == ".yaml" {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// decode reads every object of a YAML stream, and fails on any field or kind
// that does not exist.
func decode(t *testing.T, data []byte) []runtime.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, certmanagerv1.AddToScheme,
		schedulerv1.AddToScheme, v1alpha1.AddToScheme, apiserverv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	strict := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(data)))
	defer documents.Close()
	var out []runtime.Object
	for buffer := make([]byte, len(data)+1); ; {
		n, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(buffer[:n])) == 0 {
			continue
		}
		obj, _, err := strict.Decode(buffer[:n], nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, buffer[:n])
		}
		out = append(out, obj)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFilesDecode(t *testing.T) {
	for _, path := range files(t) {
		t.Run(path, func(t *testing.T) {
			switch data := read(t, path); {
			case filepath.Base(path) == "kustomization.yaml":
				if err := yaml.UnmarshalStrict(data, &kustomize.Kustomization{}); err != nil {
					t.Error(err)
				}
			case slices.Contains(patches, path):
			case len(decode(t, data)) == 0:
				t.Error("there is no object in it")
			}
		})
	}
}

// TestKustomizationsUseEverything: a manifest that no kustomization names is
// never installed.
func TestKustomizationsUseEverything(t *testing.T) {
	for _, path := range files(t) {
		dir, name := filepath.Split(path)
		kustomization := filepath.Join(dir, "kustomization.yaml")
		if _, err := os.Stat(kustomization); err != nil || name == "kustomization.yaml" {
			continue // the examples, and the scheduler's configuration
		}
		if !strings.Contains(string(read(t, kustomization)), name) {
			t.Errorf("%s does not name %s", kustomization, name)
		}
	}
}

// render is "kubectl kustomize dir".
func render(t *testing.T, dir string) []byte {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	out, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestKustomizationsRender(t *testing.T) {
	for _, path := range files(t) {
		dir := filepath.Dir(path)
		if filepath.Base(path) != "kustomization.yaml" || strings.Contains(string(read(t, path)), "kind: Component") {
			continue // a component is rendered where testdata/ names it
		}
		t.Run(dir, func(t *testing.T) {
			if len(decode(t, render(t, dir))) == 0 {
				t.Error("nothing was rendered")
			}
		})
	}
}

// TestCertManager: with the component in certs/ the webhook reads mounted files,
// and may no longer write its registration.
func TestCertManager(t *testing.T) {
	rendered := string(render(t, "testdata/cert-manager"))
	for _, want := range []string{
		"cert-manager.io/inject-ca-from: heteroaccel-system/heteroaccel-webhook",
		"- --tls-cert-file=/certs/tls.crt", "- --tls-private-key-file=/certs/tls.key", "mountPath: /certs",
		"- --policy=priced-finish", // an argument of the base
	} {
		if !strings.Contains(rendered, want) {
			t.Errorf("there is no %q", want)
		}
	}
	if strings.Contains(rendered, "webhook-self-signed") {
		t.Error("the rights for a self-signed certificate are still there")
	}
}

// TestNoReadmission: with the component the webhook may not touch a pod.
func TestNoReadmission(t *testing.T) {
	rendered := string(render(t, "testdata/no-readmission"))
	if !strings.Contains(rendered, "- --readmission=false\n") || strings.Contains(rendered, "name: heteroaccel-webhook-readmission") {
		t.Errorf("re-admission is on, or its rights are there")
	}
}

// registry reads the profiles that dir renders to.
func registry(t *testing.T, dir string) []*profile.Profile {
	t.Helper()
	var out []*profile.Profile
	for _, obj := range decode(t, render(t, dir)) {
		p, err := profile.New(obj.(*v1alpha1.InferenceProfile))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// TestRegistry: the paper's sixteen variants, with its resources and devices,
// the fastest first: that is the order of preference for any accelerator.
func TestRegistry(t *testing.T) {
	type variant struct {
		Inference, Kind, Image, Device, Resource string
	}
	var want, got []variant
	for _, inference := range []string{"action-recognition", "face-recognition", "object-detection", "text-recognition"} {
		image := "heteroaccel/" + inference
		want = append(want,
			variant{inference, "GPU", image + ":gpu", "GPU", "gpu.intel.com/i915"},
			variant{inference, "NPU", image + ":npu", "MYRIAD", "vpu.intel.com/hddl"},
			variant{inference, "FPGA", image + ":fpga", "HETERO:FPGA,CPU", "fpga.intel.com/arria10.dcp1.2-nlb0"},
			variant{inference, "CPU", image + ":cpu", "CPU", ""})
	}
	for _, p := range registry(t, "registry") {
		for _, v := range p.Variants {
			resource := ""
			for name := range v.Devices {
				resource = string(name)
			}
			got = append(got, variant{p.Name, string(v.Kind), v.Spec.Image, v.Device, resource})
		}
		times := []time.Duration{0}
		for _, k := range []accel.Kind{"GPU", "NPU", "FPGA", "CPU"} {
			times = append(times, p.Variant(k).ServiceTime)
		}
		if !slices.IsSorted(times) || times[1] == 0 || times[4] >= time.Second {
			t.Errorf("%s: service times %v, want GPU < NPU < FPGA < CPU < 1s", p.Name, times[1:])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variants (-want +got):\n%s", diff)
	}
}

func TestExamples(t *testing.T) {
	if len(registry(t, "registry/examples")) == 0 {
		t.Error("there is no example")
	}
}

// TestSchedulerAsksAboutEveryProfile: the shipped configuration is what the
// extender itself prints, and has every resource of the shipped profiles.
func TestSchedulerAsksAboutEveryProfile(t *testing.T) {
	config := decode(t, read(t, "scheduler/kube-scheduler.yaml"))[0].(*schedulerv1.KubeSchedulerConfiguration)
	var used []string
	for _, dir := range []string{"registry", "registry/examples"} {
		for _, p := range registry(t, dir) {
			for _, v := range p.Variants {
				for name := range v.Devices {
					used = append(used, string(name))
				}
			}
		}
	}
	all, added := schedulerconfig.Resources(used)
	if len(added) > 0 {
		t.Errorf("the shipped profiles use %v, which is not among the well-known resources", added)
	}
	want := []schedulerv1.Extender{schedulerconfig.Entry(schedulerconfig.Endpoint{URL: "http://" + schedulerconfig.ServiceName("heteroaccel-system") + ":8888/scheduler"}, all)}
	if diff := cmp.Diff(want, config.Extenders); diff != "" {
		t.Errorf("extenders (-want +got):\n%s", diff)
	}
}

// TestRegistrationAgrees with the words in the code.
func TestRegistrationAgrees(t *testing.T) {
	registration := decode(t, read(t, "base/webhook/registration.yaml"))[0].(*admissionv1.MutatingWebhookConfiguration)
	expression := registration.Webhooks[0].MatchConditions[0].Expression
	for _, annotation := range []string{accel.InferenceAnnotation, accel.AcceleratorAnnotation} {
		if !strings.Contains(expression, "'"+annotation+"' in object.metadata.annotations") {
			t.Errorf("the match condition does not know %s: %s", annotation, expression)
		}
	}
}
