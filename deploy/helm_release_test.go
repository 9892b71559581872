package deploy_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/chart"
)

// TestChartOverlays: the files of values render what the overlays of the same name do.
func TestChartOverlays(t *testing.T) {
	names := []string{"edge", "standard"}
	var releases []chart.Release
	for _, name := range names {
		v := readValues(t, "values-"+name+".yaml")
		v["namespaces"], v["crd"] = map[string]any{"createSystem": true}, map[string]any{"install": false}
		releases = append(releases, chart.Release{Values: v})
	}
	rendered := renderChart(t, releases)
	for n, name := range names {
		t.Run(name, func(t *testing.T) {
			want := objects(t, build(t, manifests(t), "deploy/overlays/"+name))
			delete(want, crd)
			compare(t, want, rendered[n])
		})
	}
}

// TestChartCRD: the CRD has the whole schema, and stays when the release goes.
func TestChartCRD(t *testing.T) {
	rendered := renderChart(t, []chart.Release{{Values: values{}.tree()}})[0]
	const keep = "    helm.sh/resource-policy: keep\n"
	if strings.Count(rendered.Manifest, keep) != 1 {
		t.Error("the CRD would be deleted with the release, and every profile with it")
	}
	var got map[string]any
	for _, document := range strings.Split(rendered.Manifest, "\n---") {
		if strings.Contains(document, "\nkind: CustomResourceDefinition\n") {
			got = objects(t, []byte(strings.Replace(document, keep, "", 1)))[crd]
		}
	}
	if diff := cmp.Diff(objects(t, render(t, "base/crd"))[crd], got); diff != "" {
		t.Errorf("CRD (-kustomize +chart):\n%s", diff)
	}
}

// TestChartReleaseLabels: each object says which release it is of.
func TestChartReleaseLabels(t *testing.T) {
	rendered := renderChart(t, []chart.Release{{Values: choices()[47].installation().values.tree()}})[0]
	if rendered.Error != "" {
		t.Fatal(rendered.Error)
	}
	objects := strings.Count("\n"+rendered.Manifest, "\nkind: ")
	for _, l := range releaseLabels {
		if n := strings.Count(rendered.Manifest, "\n    "+l+": "); n != objects {
			t.Errorf("%d of %d objects have the label %s", n, objects, l)
		}
	}
}

// TestChartRendersTheSame: twice, and byte by byte, or GitOps tools would see a change
// where there is none.
func TestChartRendersTheSame(t *testing.T) {
	v := choices()[47].installation().values.tree()
	for range 2 {
		r := renderChart(t, []chart.Release{{Values: v}, {Values: v}})
		if r[0] != r[1] || r[0].Error != "" {
			t.Errorf("two renderings differ, or fail: %s", r[0].Error)
		}
	}
	templates, err := filepath.Glob(chartDir + "/templates/*/*")
	if err != nil || len(templates) < 30 {
		t.Fatalf("%d templates: %v", len(templates), err)
	}
	for _, path := range append(templates, chartDir+"/templates/_helpers.tpl") {
		for _, word := range []string{"lookup ", "genCA", "genSelfSignedCert", "genSignedCert", "randAlpha", "uuidv4", "now ", "helm.sh/hook"} {
			hook := word == "helm.sh/hook" && filepath.Base(filepath.Dir(path)) == "tests"
			if bytes.Contains(read(t, path), []byte(word)) && !hook {
				t.Errorf("%s has %q", path, word)
			}
		}
	}
}

// TestChartRefuses: a wrong value is refused with a sentence that names it.
func TestChartRefuses(t *testing.T) {
	cases := map[string]struct {
		values    values
		namespace string
		want      string
	}{
		"unknown value":            {values: values{"webhok.replicas": 2}, want: "additional properties 'webhok' not allowed"},
		"unknown below":            {values: values{"webhook.replica": 2}, want: "at '/webhook': additional properties 'replica' not allowed"},
		"no replica":               {values: values{"webhook.replicas": 0}, want: "at '/webhook/replicas': minimum: got 0, want 1"},
		"text for a switch":        {values: values{"connector.enabled": "yes"}, want: "at '/connector/enabled': got string, want boolean"},
		"unknown mode":             {values: values{"certificates.mode": "certmanager"}, want: "at '/certificates/mode': value must be one of 'self-signed', 'cert-manager', 'secret'"},
		"unknown policy":           {values: values{"webhook.policy": "best"}, want: "at '/webhook/policy': value must be one of"},
		"port too high":            {values: values{"webhook.ports.https": 70000}, want: "at '/webhook/ports/https': maximum: got 70,000, want 65,535"},
		"digest of the wrong kind": {values: values{"image.digest": "latest"}, want: "at '/image/digest': 'latest' does not match pattern"},
		"label of ours":            {values: values{"webhook.podLabels": map[string]any{"app.kubernetes.io/name": "x"}}, want: "podLabels must not have app.kubernetes.io/name"},
		"Secret without CA":        {values: values{"certificates.mode": "secret"}, want: "certificates.caBundle must be the CA's certificate: --set-file certificates.caBundle=ca.crt"},
		"CA without Secret":        {values: values{"certificates.caBundle": "-----BEGIN CERTIFICATE-----"}, want: "certificates.caBundle is for certificates.mode secret alone"},
		"pages without TLS":        {values: values{"extender.pages.enabled": true}, want: "extender.pages.enabled needs extender.tls.enabled"},
		"connector on nodes alone": {values: values{"connector.node.enabled": true}, want: "need connector.enabled"},
		"policies without address": {values: values{"networkPolicies.enabled": true}, want: "networkPolicies.enabled needs networkPolicies.apiServerAddresses"},
		"selector without URL":     {values: values{"telemetry.prometheusSelector": "a"}, want: "telemetry.prometheusSelector needs telemetry.prometheusURL"},
		"webhook that no policy knows": {values: values{"webhook.hostNetwork": true, "networkPolicies.enabled": true, "networkPolicies.apiServerAddresses": []string{"10.0.0.1/32"}},
			want: "name the nodes' addresses in networkPolicies.scrapers"},
		"namespace of everybody": {namespace: "default", want: "pods of the namespace default are never mutated"},
		"one namespace for two":  {values: values{"namespaces.exporter.name": "heteroaccel-system"}, want: "must differ from each other"},
	}
	var names []string
	var releases []chart.Release
	for name, c := range cases {
		names = append(names, name)
		releases = append(releases, chart.Release{Namespace: c.namespace, Values: c.values.tree()})
	}
	rendered := renderChart(t, releases)
	for n, name := range names {
		if got := rendered[n].Error; !strings.Contains(got, cases[name].want) {
			t.Errorf("%s: %q, want %q", name, got, cases[name].want)
		}
	}
}

// TestChartNotes name the Service that kube-scheduler is to call, and the commands for
// this release.
func TestChartNotes(t *testing.T) {
	rendered := renderChart(t, []chart.Release{
		{Namespace: "accel-core", Values: values{"namespaces.exporter.name": "accel-nodes"}.tree()},
		{Values: values{"extender.tls.enabled": true, "extender.clusterIP": "10.96.0.88"}.tree()},
	})
	for n, want := range [][]string{
		{"kubectl -n accel-core get service heteroaccel-extender", "urlPrefix: http://ADDRESS:8888/scheduler", "deploy/scheduler/README.md",
			"heteroaccel scheduler-config --system-namespace accel-core --for DISTRIBUTION\n",
			"3. Check", "heteroaccel check --system-namespace accel-core --exporter-namespace accel-nodes --wait 2m\n"},
		{"urlPrefix: https://10.96.0.88:8888/scheduler", "enableHTTPS: true", "serverName: heteroaccel-extender.heteroaccel-system.svc",
			"heteroaccel scheduler-config --system-namespace heteroaccel-system --for DISTRIBUTION --mtls\n"},
	} {
		if missing := slices.IndexFunc(want, func(s string) bool { return !strings.Contains(rendered[n].Notes, s) }); missing >= 0 {
			t.Errorf("there is no %q in\n%s", want[missing], rendered[n].Notes)
		}
	}
}
