package deploy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// TestMonitoring: the Prometheus operator is told to scrape each program of ours, once,
// with the labels that the rules need, and has all rules.
func TestMonitoring(t *testing.T) {
	objects := decode(t, render(t, "testdata/monitoring"))
	var all []any
	for _, o := range objects {
		all = append(all, o)
	}
	scraped := map[string][]string{}
	for name, ports := range portsOf(t, all) {
		for _, obj := range objects {
			switch o := obj.(type) {
			case *monitoringv1.PodMonitor:
				if selects(t, &o.Spec.Selector, labels.Set{"app.kubernetes.io/name": name}) && ports[*o.Spec.PodMetricsEndpoints[0].Port] {
					scraped[name] = append(scraped[name], targets(o.Spec.PodMetricsEndpoints[0].RelabelConfigs))
				}
			case *monitoringv1.ServiceMonitor:
				if selects(t, &o.Spec.Selector, labels.Set{"app.kubernetes.io/name": name}) && ports[o.Spec.Endpoints[0].Port] {
					scraped[name] = append(scraped[name], o.Spec.JobLabel+" "+targets(o.Spec.Endpoints[0].RelabelConfigs))
				}
			}
		}
	}
	program := []string{"job program instance"}
	if diff := cmp.Diff(map[string][]string{
		"heteroaccel-webhook": program, "heteroaccel-extender": program, "heteroaccel-connector": program, "heteroaccel-connector-node": program,
		"heteroaccel-exporter": {"app.kubernetes.io/name node"},
	}, scraped); diff != "" {
		t.Errorf("labels of what is scraped (-want +got):\n%s", diff)
	}
	var want monitoringv1.PrometheusRuleSpec
	if err := yaml.Unmarshal(read(t, "prometheus/rules.yml"), &want); err != nil {
		t.Fatal(err)
	}
	n := slices.IndexFunc(objects, func(o runtime.Object) bool { _, ok := o.(*monitoringv1.PrometheusRule); return ok })
	if n < 0 || len(want.Groups) == 0 {
		t.Fatal("there are no rules")
	}
	if diff := cmp.Diff(want, objects[n].(*monitoringv1.PrometheusRule).Spec); diff != "" {
		t.Errorf("rules (-rules.yml +monitoring):\n%s", diff)
	}
}

// targets are the labels that relabelling sets.
func targets(relabelings []monitoringv1.RelabelConfig) string {
	var out []string
	for _, r := range relabelings {
		out = append(out, r.TargetLabel)
	}
	return strings.Join(out, " ")
}
