package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// prometheusRule is deploy/prometheus/rules.yml as an object of the Prometheus operator.
func prometheusRule(root string) (string, error) {
	data, err := os.ReadFile(filepath.Join(root, "deploy/prometheus/rules.yml"))
	if err != nil {
		return "", fmt.Errorf("read the rules: %w", err)
	}
	var out strings.Builder
	out.WriteString("# Generated from deploy/prometheus/rules.yml by make generate.\n" +
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: heteroaccel\n  namespace: heteroaccel-system\nspec:\n")
	for line := range strings.Lines(string(data)) {
		if strings.TrimSpace(line) != "" {
			line = "  " + line
		}
		out.WriteString(line)
	}
	return out.String(), nil
}

// dashboardFile is the Grafana dashboard, which deploy/grafana/generate writes.
const dashboardFile = "deploy/grafana/heteroaccel.json"

// dashboardConfigMap is the dashboard in the ConfigMap that deploy/grafana makes of it.
func dashboardConfigMap(root string) (string, error) {
	data, err := os.ReadFile(filepath.Join(root, dashboardFile))
	if err != nil {
		return "", fmt.Errorf("read the dashboard: %w", err)
	}
	var out strings.Builder
	out.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: heteroaccel-dashboard\n  namespace: heteroaccel-system\n  labels:\n    grafana_dashboard: \"1\"\ndata:\n  heteroaccel.json: |\n")
	for line := range strings.Lines(string(data)) {
		out.WriteString("    " + line)
	}
	return out.String(), nil
}

// monitoringPages are the objects of the Prometheus operator, and Grafana's dashboard.
func monitoringPages() []page {
	labels := func(value, after string) edit {
		return edit{old: after, new: after + lines(2, "labels:") + lines(4, "{{- with .Values.monitoring."+value+".labels }}", "{{- toYaml . | nindent 4 }}", "{{- end }}")}
	}
	return []page{
		{from: "deploy/monitoring/servicemonitor.yaml", to: "monitoring/servicemonitor.yaml", when: ".Values.monitoring.monitors.enabled",
			edits: []edit{labels("monitors", "  name: heteroaccel-exporter\n  namespace: heteroaccel-exporter\n")}},
		{from: "deploy/monitoring/podmonitor.yaml", to: "monitoring/podmonitor.yaml", when: ".Values.monitoring.monitors.enabled",
			edits: []edit{labels("monitors", "  name: heteroaccel\n  namespace: heteroaccel-system\n")}},
		{from: "deploy/monitoring/rules.yaml", to: "monitoring/rules.yaml", when: ".Values.monitoring.rules.enabled",
			edits: []edit{
				labels("rules", "  name: heteroaccel\n  namespace: heteroaccel-system\n"),
				{old: "https://heteroaccel.io/docs/runbooks#", new: "{{ $.Values.monitoring.rules.runbookURL }}#", times: everywhere},
			}},
		{from: dashboardFile, to: "monitoring/dashboard.yaml", when: ".Values.monitoring.dashboard.enabled",
			edits: []edit{{old: "    grafana_dashboard: \"1\"\n", new: "    grafana_dashboard: \"1\"\n" + lines(4, "{{- with .Values.monitoring.dashboard.labels }}", "{{- toYaml . | nindent 4 }}", "{{- end }}")}}},
	}
}
