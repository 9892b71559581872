package deploy_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// portsOf are the names of the ports of each workload, by its label
// app.kubernetes.io/name.
func portsOf(t *testing.T, objects []any) map[string]map[string]bool {
	t.Helper()
	ports := map[string]map[string]bool{}
	take := func(labels map[string]string, spec *corev1.PodSpec) {
		name := labels["app.kubernetes.io/name"]
		ports[name] = map[string]bool{}
		for _, c := range spec.Containers {
			for _, p := range c.Ports {
				ports[name][p.Name] = true
			}
		}
	}
	for _, obj := range objects {
		switch o := obj.(type) {
		case *appsv1.Deployment:
			take(o.Spec.Template.Labels, &o.Spec.Template.Spec)
		case *appsv1.DaemonSet:
			take(o.Spec.Template.Labels, &o.Spec.Template.Spec)
		}
	}
	return ports
}

// TestServicesNamePorts: a Service that names a port of its pods names one that
// they have.
func TestServicesNamePorts(t *testing.T) {
	var objects []any
	for _, dir := range []string{"prometheus", "testdata/connector-node", "testdata/extender-pages"} {
		for _, o := range decode(t, render(t, dir)) {
			objects = append(objects, o)
		}
	}
	ports := portsOf(t, objects)
	services := 0
	for _, obj := range objects {
		s, ok := obj.(*corev1.Service)
		if !ok {
			continue
		}
		services++
		for _, p := range s.Spec.Ports {
			if p.TargetPort.Type == intstr.String && !ports[s.Spec.Selector["app.kubernetes.io/name"]][p.TargetPort.StrVal] {
				t.Errorf("Service %s sends to port %s, which its pods do not have: %v", s.Name, p.TargetPort.StrVal, ports[s.Spec.Selector["app.kubernetes.io/name"]])
			}
		}
	}
	if services < 8 {
		t.Errorf("only %d Services were looked at", services)
	}
}

// TestPrometheusFindsEachProgram: of each program's ports the scrape
// configuration keeps the one that serves metrics.
func TestPrometheusFindsEachProgram(t *testing.T) {
	content, err := os.ReadFile("prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		ScrapeConfigs []struct {
			JobName        string `json:"job_name"`
			RelabelConfigs []struct {
				SourceLabels  []string `json:"source_labels"`
				Regex, Action string
			} `json:"relabel_configs"`
		} `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	var objects []any
	for _, o := range decode(t, render(t, "testdata/connector-node")) {
		objects = append(objects, o)
	}
	kept := map[string]int{}
	for program, ports := range portsOf(t, objects) {
		for port := range ports {
			for _, job := range config.ScrapeConfigs {
				if job.JobName != "heteroaccel" {
					continue
				}
				for _, r := range job.RelabelConfigs {
					if r.Action != "keep" || len(r.SourceLabels) != 2 {
						continue
					}
					if regexp.MustCompile("^(?:" + r.Regex + ")$").MatchString(fmt.Sprintf("%s;%s", program, port)) {
						kept[program]++
					}
				}
			}
		}
	}
	for _, program := range []string{"heteroaccel-webhook", "heteroaccel-extender", "heteroaccel-connector", "heteroaccel-connector-node"} {
		if kept[program] != 1 {
			t.Errorf("of the ports of %s %d are scraped, want one", program, kept[program])
		}
	}
	if len(kept) != 4 {
		t.Errorf("job heteroaccel scrapes %v", kept)
	}
}
