package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/chart"
)

// workloads are where the values of each of our workloads are: its kind, its name, and
// which of its variables is GOMEMLIMIT.
var workloads = map[string][3]string{
	"webhook": {"Deployment", "heteroaccel-webhook", "0"}, "extender": {"Deployment", "heteroaccel-extender", "1"}, "exporter": {"DaemonSet", "heteroaccel-exporter", ""},
	"connector": {"Deployment", "heteroaccel-connector", "1"}, "connector.node": {"DaemonSet", "heteroaccel-connector-node", "2"},
}

// ofPods are values that every workload has.
var ofPods = map[string]any{
	"extraArgs": []string{"--v=2"}, "goMemLimit": "100MiB", "priorityClassName": "mine", "nodeSelector": map[string]any{"edge": "yes"},
	"tolerations": []any{map[string]any{"key": "edge", "operator": "Exists"}}, "podAnnotations": map[string]any{"mesh": "off"}, "podLabels": map[string]any{"team": "edge"},
	"resources": map[string]any{"requests": map[string]any{"cpu": "7m", "memory": "70Mi"}, "limits": map[string]any{"memory": "700Mi"}},
	"affinity":  map[string]any{"nodeAffinity": map[string]any{"requiredDuringSchedulingIgnoredDuringExecution": map[string]any{"nodeSelectorTerms": []any{map[string]any{"matchFields": []any{}}}}}},
}

// everyPod is an installation in which each workload has all of these.
func everyPod(t *testing.T) installation {
	t.Helper()
	i := installation{values: values{"connector.enabled": true, "connector.node.enabled": true}, components: []string{"deploy/connector", "deploy/connector-node"}, overlay: "patches:\n"}
	for prefix, w := range workloads {
		ops := `{op: add, path: ` + main + `/args/-, value: "--v=2"}`
		for name, field := range map[string]string{"priorityClassName": pod, "nodeSelector": pod, "tolerations": pod, "affinity": pod, "resources": main} {
			data, err := json.Marshal(ofPods[name])
			if err != nil {
				t.Fatal(err)
			}
			ops += fmt.Sprintf(", {op: add, path: %s/%s, value: %s}", field, name, data)
		}
		ops += `, {op: add, path: /spec/template/metadata/annotations, value: {mesh: "off"}}, {op: add, path: /spec/template/metadata/labels/team, value: edge}`
		if w[2] != "" {
			ops += `, {op: replace, path: ` + main + `/env/` + w[2] + `/value, value: 100MiB}`
		}
		i.overlay += on(w[0], w[1], ops)
		for name, value := range ofPods {
			if name != "goMemLimit" || w[2] != "" {
				i.values[prefix+"."+name] = value
			}
		}
	}
	return i
}

// TestChartValuesEqualPatches: values that no component is for render what an overlay's
// patches do.
func TestChartValuesEqualPatches(t *testing.T) {
	all := maps.Clone(others)
	all["every pod"] = everyPod(t)
	equal(t, all)
}

// alternatives are values other than the defaults, by path.
func alternatives() values {
	out := values{}
	for _, i := range others {
		out = out.with(i.values)
	}
	// The other mode needs more, and kustomize has no test.
	return out.with(values{"certificates.mode": "cert-manager", "test.namespace": "trials", "test.wait": "5m"})
}

// leaves are the paths of values that are set as a whole.
func leaves(prefix string, value any) map[string]any {
	m, ok := value.(map[string]any)
	name := prefix[strings.LastIndex(prefix, ".")+1:]
	if _, whole := ofPods[name]; !ok || whole || name == "labels" {
		return map[string]any{prefix: value}
	}
	out := map[string]any{}
	for key, below := range m {
		maps.Copy(out, leaves(strings.TrimPrefix(prefix+"."+key, "."), below))
	}
	return out
}

// switches turn on what a value belongs to.
var switches = map[string]values{
	"connector.":                       {"connector.enabled": true, "connector.node.enabled": true, "connector.gateway.enabled": true},
	"namespaces.sessions.":             {"connector.enabled": true},
	"webhook.clientCA.":                {"webhook.clientCA.enabled": true},
	"extender.pages.":                  {"extender.tls.enabled": true},
	"extender.tls.":                    {"extender.tls.enabled": true},
	"certificates.issuerRef.":          {"certificates.mode": "cert-manager", "certificates.issuerRef.name": "x"},
	"certificates.duration":            {"certificates.mode": "cert-manager"},
	"certificates.renewBefore":         {"certificates.mode": "cert-manager"},
	"certificates.secretName":          {"certificates.mode": "cert-manager"},
	"certificates.caBundle":            {"certificates.mode": "secret", "certificates.caBundle": "-----BEGIN CERTIFICATE-----\na"},
	"telemetry.prometheusSelector":     {"telemetry.prometheusURL": "http://p"},
	"networkPolicies.":                 {"networkPolicies.enabled": true, "networkPolicies.apiServerAddresses": []string{"10.0.0.1/32"}},
	"networkPolicies.prometheus.port":  {"networkPolicies.prometheus.peers": []any{peers}},
	"networkPolicies.prometheus.peers": {},
	"monitoring.monitors.labels":       {"monitoring.monitors.enabled": true},
	"monitoring.rules.labels":          {"monitoring.rules.enabled": true},
	"monitoring.rules.runbookURL":      {"monitoring.rules.enabled": true},
	"monitoring.dashboard.labels":      {"monitoring.dashboard.enabled": true},
}

// TestEveryValueDoesSomething: there is no value that can be set in vain, and none that
// the schema does not know or values.yaml does not tell of.
func TestEveryValueDoesSomething(t *testing.T) {
	defaults := leaves("", readValues(t, "values.yaml"))
	other := alternatives()
	var paths []string
	var releases []chart.Release
	for path, value := range defaults {
		to, ok := ofPods[path[strings.LastIndex(path, ".")+1:]]
		switch flag, is := value.(bool); {
		case is:
			to = !flag
		case !ok:
			to = other[path]
		}
		if to == nil {
			t.Errorf("%s: no test sets it", path)
			continue
		}
		base := values{}
		for prefix, on := range switches {
			if strings.HasPrefix(path, prefix) {
				base = base.with(on)
			}
		}
		changed := base.with(values{path: to})
		if flag, ok := base[path].(bool); ok {
			changed[path] = !flag
		}
		if path == "connector.enabled" {
			base, changed = values{}, values{path: true}
		}
		paths = append(paths, path)
		releases = append(releases, chart.Release{Values: base.tree()}, chart.Release{Values: changed.tree()})
	}
	if len(paths) < 90 {
		t.Errorf("values.yaml has only %d values", len(paths))
	}
	rendered := renderChart(t, releases)
	for n, path := range paths {
		without, with := rendered[2*n], rendered[2*n+1]
		if without.Error+with.Error != "" {
			t.Errorf("%s: %s%s", path, without.Error, with.Error)
		} else if without.Manifest+without.Hooks == with.Manifest+with.Hooks {
			t.Errorf("%s does nothing", path)
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(defaults)), slices.Sorted(maps.Keys(leaves("", schemaTree(t))))); diff != "" {
		t.Errorf("values (-values.yaml +values.schema.json):\n%s", diff)
	}
}

// schemaTree is the schema's properties as a tree of values.
func schemaTree(t *testing.T) map[string]any {
	t.Helper()
	schema := readValues(t, "values.schema.json")
	definitions := schema["$defs"].(map[string]any)
	var tree func(node map[string]any) any
	tree = func(node map[string]any) any {
		if ref, ok := node["$ref"].(string); ok {
			return tree(definitions[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any))
		}
		properties, ok := node["properties"].(map[string]any)
		if !ok {
			return true
		}
		if node["additionalProperties"] != false {
			t.Errorf("properties %v take others", slices.Collect(maps.Keys(properties)))
		}
		out := map[string]any{}
		for name, below := range properties {
			out[name] = tree(below.(map[string]any))
		}
		return out
	}
	out := tree(schema).(map[string]any)
	delete(out, "global") // Helm's own
	return out
}
