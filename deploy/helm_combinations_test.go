package deploy_test

import (
	"fmt"
	"slices"
	"testing"
)

// option is one way of installing a part: none of its fields is set for the default.
type option struct {
	values     values
	components []string
	overlay    string
}

// axes are the parts that can be combined, in the order in which an overlay names their
// components, since arguments are appended in that order.
var axes = [][]option{
	certificateAxis: {{}, {values{"certificates.mode": "cert-manager"}, []string{"certs"}, ""}},
	clientCAAxis:    {{}, {values{"webhook.clientCA.enabled": true}, []string{"deploy/webhook-client-ca"}, ""}},
	readmissionAxis: {{}, {values{"webhook.readmission": false}, []string{"deploy/no-readmission"}, ""}},
	extenderAxis: {{},
		{values{"extender.tls.enabled": true}, []string{"deploy/extender-tls"}, ""},
		{values{"extender.tls.enabled": true, "extender.pages.enabled": true}, []string{"deploy/extender-tls", "deploy/extender-pages"}, ""}},
	replicasAxis: {{}, {values{"extender.replicas": 2}, []string{"deploy/extender-replicas"}, ""}},
	bindingAxis:  {{}, {values{"webhook.binding": "auto"}, []string{"deploy/late-binding"}, ""}},
	useAxis:      {{}, {values{"exporter.externalUse": true}, []string{"deploy/external-use"}, ""}},
	driveAxis:    {{}, {values{"exporter.drive": []string{"npu", "fpga", "cpu"}}, []string{"deploy/device-driver"}, ""}},
	connectorAxis: {{},
		{values{"connector.enabled": true}, []string{"deploy/connector"}, ""},
		{values{"connector.enabled": true, "connector.node.enabled": true}, []string{"deploy/connector", "deploy/connector-node"}, ""},
		{values{"connector.enabled": true, "connector.gateway.enabled": true}, []string{"deploy/connector", "deploy/connector-gateway"}, ""},
		{values{"connector.enabled": true, "connector.node.enabled": true, "connector.gateway.enabled": true},
			[]string{"deploy/connector", "deploy/connector-node", "deploy/connector-gateway"}, ""}},
	monitoringAxis: {{}, {values{"monitoring.monitors.enabled": true, "monitoring.rules.enabled": true, "monitoring.dashboard.enabled": true}, []string{"deploy/monitoring", "deploy/grafana"}, ""}},
	networkAxis:    {{}, {values{"networkPolicies.enabled": true, "networkPolicies.apiServerAddresses": []string{"10.0.0.10/32", "10.0.0.11/32"}}, []string{"deploy/network-policies"}, addressPatches}},
	telemetryAxis:  {{}, {values{"telemetry.prometheusURL": "http://prometheus.monitoring:9090"}, nil, telemetryPatches}},
	profilesAxis:   {{}, {values{"profiles.install": true}, nil, ""}},
}

const (
	certificateAxis = iota
	clientCAAxis
	readmissionAxis
	extenderAxis
	replicasAxis
	bindingAxis
	useAxis
	driveAxis
	connectorAxis
	monitoringAxis
	networkAxis
	telemetryAxis
	profilesAxis
)

const addressPatches = `
- target: {kind: NetworkPolicy, name: heteroaccel-to-api-server}
  patch: |-
    - {op: replace, path: /spec/egress/0/to, value: [{ipBlock: {cidr: 10.0.0.10/32}}, {ipBlock: {cidr: 10.0.0.11/32}}]}
- target: {kind: NetworkPolicy, name: heteroaccel-from-(api-server|scheduler)}
  patch: |-
    - {op: replace, path: /spec/ingress/0/from, value: [{ipBlock: {cidr: 10.0.0.10/32}}, {ipBlock: {cidr: 10.0.0.11/32}}]}
`

const telemetryPatches = `
- target: {kind: Deployment, name: heteroaccel-webhook}
  patch: |-
    - {op: replace, path: /spec/template/spec/containers/0/args/3, value: "--prometheus-url=http://prometheus.monitoring:9090"}
- target: {kind: Deployment, name: heteroaccel-extender}
  patch: |-
    - {op: replace, path: /spec/template/spec/containers/0/args/1, value: "--prometheus-url=http://prometheus.monitoring:9090"}
`

// choice is one option of each axis.
type choice [profilesAxis + 1]int

func (c choice) installation() installation {
	i := installation{values: values{}}
	patches := ""
	for axis, n := range c {
		o := axes[axis][n]
		i.values = i.values.with(o.values)
		for _, component := range o.components {
			if component == "deploy/extender-tls" && c[certificateAxis] == 1 {
				component = "certs/extender" // which has that one
			}
			i.components = append(i.components, component)
		}
		patches += o.overlay
	}
	if patches != "" {
		i.overlay = "patches:" + patches
	}
	if c[profilesAxis] == 1 {
		i.resources = []string{"deploy/registry"}
	}
	return i
}

// pairs are the pairs of options of two axes that a choice has.
func (c choice) pairs() []string {
	var out []string
	for a := range c {
		for b := range a {
			out = append(out, fmt.Sprintf("%d=%d %d=%d", b, c[b], a, c[a]))
		}
	}
	return out
}

// choices are all combinations of what the webhook's objects depend on, and all of what
// the extender's do, with the other options in turn; and more, until every pair of
// options is in one.
func choices() []choice {
	var out []choice
	for n := range 48 {
		c := choice{certificateAxis: n % 2, telemetryAxis: n / 2 % 2, extenderAxis: n / 4 % 3, replicasAxis: n / 12 % 2}
		c[clientCAAxis], c[readmissionAxis], c[bindingAxis] = n/4%2, n/8%2, n/24
		c[connectorAxis], c[networkAxis], c[useAxis], c[driveAxis], c[monitoringAxis], c[profilesAxis] = n%5, n/5%2, n/3%2, n/9%2, n/7%2, n/6%2
		out = append(out, c)
	}
	seen := map[string]bool{}
	for _, c := range out {
		for _, p := range c.pairs() {
			seen[p] = true
		}
	}
	for a := range axes {
		for b := range a {
			for n := range axes[a] {
				for m := range axes[b] {
					if !seen[fmt.Sprintf("%d=%d %d=%d", b, m, a, n)] {
						c := choice{}
						c[a], c[b] = n, m
						for _, p := range c.pairs() {
							seen[p] = true
						}
						out = append(out, c)
					}
				}
			}
		}
	}
	return out
}

// TestChartEqualsKustomize: whatever is combined, the chart renders the objects that the
// same components of kustomize do.
func TestChartEqualsKustomize(t *testing.T) {
	all := map[string]installation{}
	for _, c := range choices() {
		all[fmt.Sprint(c)] = c.installation()
	}
	equal(t, all)
}

// TestChoicesHavePairs: every pair of options is in some choice, and every combination
// of what one workload depends on.
func TestChoicesHavePairs(t *testing.T) {
	have := map[string]bool{}
	webhook, extender := map[[5]int]bool{}, map[[5]int]bool{}
	for _, c := range choices() {
		for _, p := range c.pairs() {
			have[p] = true
		}
		webhook[[5]int{c[certificateAxis], c[clientCAAxis], c[readmissionAxis], c[bindingAxis], c[telemetryAxis]}] = true
		extender[[5]int{c[certificateAxis], c[extenderAxis], c[replicasAxis], c[bindingAxis], c[telemetryAxis]}] = true
	}
	want := 0
	for a := range axes {
		for b := range a {
			want += len(axes[a]) * len(axes[b])
		}
	}
	if len(have) != want || len(webhook) != 32 || len(extender) != 48 {
		t.Errorf("%d of %d pairs, %d of 32 combinations for the webhook, %d of 48 for the extender", len(have), want, len(webhook), len(extender))
	}
	if unused := slices.IndexFunc(axes, func(o []option) bool { return len(o) < 2 }); unused >= 0 {
		t.Errorf("axis %d has nothing to choose", unused)
	}
}
