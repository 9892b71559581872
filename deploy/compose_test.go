package deploy_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/pkg/schedulerconfig"
)

// TestComposeInstalls: what docker-compose.yaml installs is what deploy/base and the
// connector are, but for what runs as containers there; and the API server calls the
// webhook by the name that its certificate has.
func TestComposeInstalls(t *testing.T) {
	kinds := func(dirs ...string) []string {
		var out []string
		for _, dir := range dirs {
			for _, o := range decode(t, render(t, dir)) {
				kind := o.GetObjectKind().GroupVersionKind().Kind
				name := o.(interface{ GetName() string }).GetName()
				if !slices.Contains([]string{"Deployment", "DaemonSet", "Service", "PodDisruptionBudget"}, kind) {
					out = append(out, kind+" "+name)
				}
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	if diff := cmp.Diff(kinds("testdata/extender-pages", "testdata/connector"), kinds("compose/install")); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	for _, o := range decode(t, render(t, "compose/install")) {
		switch kind := o.GetObjectKind().GroupVersionKind().Kind; kind {
		case "Deployment", "DaemonSet", "Service", "PodDisruptionBudget":
			t.Errorf("a %s is installed", kind)
		case "MutatingWebhookConfiguration":
			c := o.(*admissionv1.MutatingWebhookConfiguration).Webhooks[0].ClientConfig
			if c.Service != nil || c.URL == nil || *c.URL != "https://heteroaccel-webhook.heteroaccel-system.svc:8443/mutate" {
				t.Errorf("the webhook is called at %+v", c)
			}
		}
	}
}

// TestComposeScheduler: its extender is what the program prints for such a cluster, but
// for the paths of the files.
func TestComposeScheduler(t *testing.T) {
	config := decode(t, read(t, "compose/kube-scheduler.yaml"))[0].(*schedulerv1.KubeSchedulerConfiguration)
	name := schedulerconfig.ServiceName("heteroaccel-system")
	want := schedulerconfig.Entry(schedulerconfig.Endpoint{
		URL: "https://" + name + ":8888/scheduler", ServerName: name, ClientCertificate: true,
	}, schedulerconfig.WellKnown)
	want.TLSConfig.CAFile, want.TLSConfig.CertFile, want.TLSConfig.KeyFile = "/pki/ca.crt", "/pki/kube-scheduler-client.crt", "/pki/kube-scheduler-client.key"
	if diff := cmp.Diff([]schedulerv1.Extender{want}, config.Extenders); diff != "" {
		t.Errorf("extenders (-want +got):\n%s", diff)
	}
}

// TestComposePrometheus: it scrapes every program, with the labels that the rules need.
func TestComposePrometheus(t *testing.T) {
	type scrape struct {
		JobName       string `json:"job_name"`
		StaticConfigs []struct {
			Targets []string          `json:"targets"`
			Labels  map[string]string `json:"labels"`
		} `json:"static_configs"`
	}
	var config struct {
		ScrapeConfigs []scrape `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal(read(t, "compose/prometheus.yml"), &config); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]string{}
	for _, c := range config.ScrapeConfigs {
		for _, s := range c.StaticConfigs {
			for _, target := range s.Targets {
				got[c.JobName+" "+target] = s.Labels
			}
		}
	}
	want := map[string]map[string]string{}
	for _, node := range []string{"g", "f", "n"} {
		want["heteroaccel-exporter exporter-"+node+":9817"] = map[string]string{"node": node, "namespace": "heteroaccel-exporter"}
	}
	for _, program := range []string{"webhook", "extender", "connector"} {
		want["heteroaccel "+program+":8080"] = map[string]string{"program": program}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

// TestComposeMountsWhatThereIs: Docker makes a directory of a path that is missing.
func TestComposeMountsWhatThereIs(t *testing.T) {
	mounts := 0
	for line := range strings.Lines(string(read(t, "../docker-compose.yaml"))) {
		for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return strings.ContainsRune(" \"[],\n", r) }) {
			if path, ok := strings.CutPrefix(word, "./"); ok {
				path, _, _ = strings.Cut(path, ":")
				mounts++
				if _, err := os.Stat("../" + path); err != nil {
					t.Errorf("it mounts %s: %v", path, err)
				}
			}
		}
	}
	if mounts < 5 {
		t.Errorf("it mounts only %d files", mounts)
	}
}
