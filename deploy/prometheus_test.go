package deploy_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/pkg/monitor"
)

// TestPrometheusOverlay: webhook and extender ask the Prometheus that is
// installed, at its Service, and nobody else; and it may look around in its own
// namespace only.
func TestPrometheusOverlay(t *testing.T) {
	asks := map[string][]string{}
	address, config := "", map[string]string{}
	for _, obj := range decode(t, render(t, "prometheus")) {
		switch o := obj.(type) {
		case *appsv1.Deployment:
			for _, arg := range o.Spec.Template.Spec.Containers[0].Args {
				if from, ok := strings.CutPrefix(arg, "--prometheus-url="); ok {
					asks[o.Name] = append(asks[o.Name], from)
				}
			}
		case *corev1.Service:
			if o.Name == "heteroaccel-prometheus" {
				address = fmt.Sprintf("http://%s.%s:%d", o.Name, o.Namespace, o.Spec.Ports[0].Port)
			}
		case *corev1.ConfigMap:
			config = o.Data
		case *rbacv1.ClusterRoleBinding:
			for _, s := range o.Subjects {
				if s.Name == "heteroaccel-prometheus" {
					t.Errorf("%s gives Prometheus rights in the whole cluster", o.Name)
				}
			}
		}
	}
	want := map[string][]string{"heteroaccel-webhook": {address}, "heteroaccel-extender": {address}}
	if diff := cmp.Diff(want, asks); diff != "" {
		t.Errorf("telemetry comes from (-want +got):\n%s", diff)
	}
	for _, file := range []string{"prometheus.yml", "rules.yml"} {
		if config[file] != string(read(t, filepath.Join("prometheus", file))) {
			t.Errorf("%s is not in the ConfigMap", file)
		}
	}
}

// scrapeConfig is as much of Prometheus' configuration as the tests look at.
type scrapeConfig struct {
	ScrapeConfigs []struct {
		JobName        string `json:"job_name"`
		HonorLabels    *bool  `json:"honor_labels"`
		RelabelConfigs []struct {
			SourceLabels []string `json:"source_labels"`
			TargetLabel  string   `json:"target_label"`
		} `json:"relabel_configs"`
	} `json:"scrape_configs"`
}

// TestScrapesFitTheSelector: the exporters' series have the labels by which the
// programs select them, with the values that the manifests give, and their node is
// not the page's to say.
func TestScrapesFitTheSelector(t *testing.T) {
	var config scrapeConfig
	if err := yaml.Unmarshal(read(t, "prometheus/prometheus.yml"), &config); err != nil {
		t.Fatal(err)
	}
	job := config.ScrapeConfigs[0]
	from := map[string]string{}
	for _, r := range job.RelabelConfigs {
		if r.TargetLabel != "" {
			from[r.TargetLabel] = strings.Join(r.SourceLabels, ",")
		}
	}
	want := map[string]string{
		"namespace": "__meta_kubernetes_namespace", "pod": "__meta_kubernetes_pod_name",
		"container": "__meta_kubernetes_pod_container_name", "node": "__meta_kubernetes_pod_node_name",
	}
	if diff := cmp.Diff(want, from); diff != "" || job.HonorLabels == nil || *job.HonorLabels {
		t.Errorf("labels of the target (-want +got):\n%s, honor_labels %v", diff, job.HonorLabels)
	}
	namespace := ""
	for _, obj := range decode(t, render(t, "prometheus")) {
		if d, ok := obj.(*appsv1.DaemonSet); ok && d.Name == "heteroaccel-exporter" {
			namespace = d.Namespace
		}
	}
	if got := fmt.Sprintf("job=%q,namespace=%q", job.JobName, namespace); got != monitor.DefaultSelector {
		t.Errorf("the series have %s, and %s are selected", got, monitor.DefaultSelector)
	}
}

// metric matches the name of a metric of ours, and nothing in the name of a
// rule's own series, which has a colon before it.
var (
	metric  = regexp.MustCompile(`(?:^|[^:\w])(heteroaccel_\w+)`)
	literal = regexp.MustCompile(`"(heteroaccel_\w+)"`)
	suffix  = regexp.MustCompile(`_(count|bucket|sum)$`)
	job     = regexp.MustCompile(`job="([^"]*)"`)
)

// TestRulesUseWhatThereIs: an expression over a metric that no program has, or
// over a job that Prometheus does not scrape, is never true and says nothing.
func TestRulesUseWhatThereIs(t *testing.T) {
	var known []string
	for _, root := range []string{"../connector", "../exporter", "../extender", "../webhook", "../pkg"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
				for _, m := range literal.FindAllStringSubmatch(string(read(t, path)), -1) {
					known = append(known, m[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var config scrapeConfig
	if err := yaml.Unmarshal(read(t, "prometheus/prometheus.yml"), &config); err != nil {
		t.Fatal(err)
	}
	var jobs []string
	for _, c := range config.ScrapeConfigs {
		jobs = append(jobs, c.JobName)
	}
	for _, path := range []string{"prometheus/rules.yml", "prometheus/README.md", "grafana/heteroaccel.json"} {
		text := strings.ReplaceAll(string(read(t, path)), `\"`, `"`)
		found := metric.FindAllStringSubmatch(text, -1)
		if len(found) < 3 {
			t.Errorf("%s names %d metrics", path, len(found))
		}
		for _, m := range found {
			if name := suffix.ReplaceAllString(m[1], ""); !slices.Contains(known, m[1]) && !slices.Contains(known, name) {
				t.Errorf("%s: no program has the metric %s", path, m[1])
			}
		}
		for _, m := range job.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(jobs, m[1]) {
				t.Errorf("%s: Prometheus scrapes no job %s", path, m[1])
			}
		}
	}
}

// TestAlertsAreListedAndTested: the page lists every alert with its severity, and
// the unit tests of the rules raise every alert.
func TestAlertsAreListedAndTested(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert  string            `json:"alert"`
				Labels map[string]string `json:"labels"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(read(t, "prometheus/rules.yml"), &rules); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	tests := string(read(t, "testdata/prometheus/rules_test.yml"))
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			want[r.Alert] = r.Labels["severity"]
			if !strings.Contains(tests, r.Alert) {
				t.Errorf("no test raises %s", r.Alert)
			}
		}
	}
	got := map[string]string{}
	for _, m := range alertRow.FindAllStringSubmatch(string(read(t, "prometheus/README.md")), -1) {
		got[m[1]] = m[2]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts in README.md (-want +got):\n%s", diff)
	}
}

// TestAlertsHaveARunbook: each alert leads to a section of the page of runbooks, which has no
// others.
func TestAlertsHaveARunbook(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `json:"alert"`
				Annotations map[string]string `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(read(t, "prometheus/rules.yml"), &rules); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			want = append(want, r.Alert)
			if got, at := r.Annotations["runbook_url"], "https://heteroaccel.io/docs/runbooks#"+strings.ToLower(r.Alert); got != at {
				t.Errorf("%s: runbook_url is %q, want %q", r.Alert, got, at)
			}
		}
	}
	var got []string
	for _, m := range runbook.FindAllStringSubmatch(string(read(t, "../docs/runbooks.md")), -1) {
		got = append(got, m[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sections of docs/runbooks.md (-want +got):\n%s", diff)
	}
}

// runbook matches the heading of an alert's section.
var runbook = regexp.MustCompile(`(?m)^## (HeteroAccel\w+)$`)

// alertRow matches a row of the page's table of alerts.
var alertRow = regexp.MustCompile(`(?m)^\| (HeteroAccel\w+) \| (\w+) \|`)

// TestAdapter: the query that prometheus-adapter makes of its rule for the example of an
// autoscaler is the one that the unit tests of the rules evaluate.
func TestAdapter(t *testing.T) {
	var config struct {
		ExternalRules []struct {
			SeriesQuery string `json:"seriesQuery"`
			Resources   struct {
				Overrides map[string]struct {
					Resource string `json:"resource"`
				} `json:"overrides"`
			} `json:"resources"`
			Name struct {
				As string `json:"as"`
			} `json:"name"`
			MetricsQuery string `json:"metricsQuery"`
		} `json:"externalRules"`
	}
	if err := yaml.UnmarshalStrict(read(t, "prometheus/adapter.yml"), &config); err != nil {
		t.Fatal(err)
	}
	rule := config.ExternalRules[0]
	var scaler autoscalingv2.HorizontalPodAutoscaler
	if err := yaml.UnmarshalStrict(read(t, "examples/autoscaler.yaml"), &scaler); err != nil {
		t.Fatal(err)
	}
	metric := scaler.Spec.Metrics[0].External.Metric
	if metric.Name != rule.Name.As || rule.Resources.Overrides["pod_namespace"].Resource != "namespace" {
		t.Errorf("the example asks for %s, the rule is %+v", metric.Name, rule)
	}
	// As prometheus-adapter fills in the template: pkg/naming/metrics_query.go.
	series, _, _ := strings.Cut(rule.SeriesQuery, "{")
	matchers := []string{`pod_namespace="lab"`}
	for name, value := range metric.Selector.MatchLabels {
		matchers = append(matchers, fmt.Sprintf("%s=%q", name, value))
	}
	query, err := template.New("query").Delims("<<", ">>").Parse(rule.MetricsQuery)
	if err != nil {
		t.Fatal(err)
	}
	var filled strings.Builder
	if err := query.Execute(&filled, map[string]string{"Series": series, "LabelMatchers": strings.Join(matchers, ","), "GroupBy": "pod_namespace"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(read(t, "testdata/prometheus/rules_test.yml")), "- expr: "+filled.String()+"\n") {
		t.Errorf("no unit test evaluates %s", filled.String())
	}
	if !strings.Contains(string(read(t, "prometheus/rules.yml")), "- record: "+series+"\n") {
		t.Errorf("nobody records %s", series)
	}
	var target appsv1.Deployment
	if err := yaml.Unmarshal(read(t, "examples/server.yaml"), &target); err != nil {
		t.Fatal(err)
	}
	if scaler.Spec.ScaleTargetRef.Name != target.Name || metric.Selector.MatchLabels["owner"] != target.Name {
		t.Errorf("the autoscaler is for %s, the example's Deployment is %s", scaler.Spec.ScaleTargetRef.Name, target.Name)
	}
}
