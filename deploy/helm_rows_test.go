package deploy_test

import (
	"fmt"
	"os"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

// on is a patch of objects of an overlay, by operations of JSON patch, written as YAML.
func on(kind, name, operations string) string {
	patch, err := yaml.YAMLToJSON([]byte("[" + strings.ReplaceAll(operations, "\t", "") + "]"))
	if err != nil {
		panic(operations + ": " + err.Error())
	}
	return "- target: {kind: " + kind + ", name: " + name + "}\n  patch: |-\n    " + string(patch) + "\n"
}

// without deletes an object from an overlay.
func without(apiVersion, kind, name string) string {
	return "- patch: |-\n    {apiVersion: " + apiVersion + ", kind: " + kind + ", metadata: {name: " + name + "}, $patch: delete}\n"
}

// withoutIn is without, for an object of a namespace.
func withoutIn(apiVersion, kind, name string) string {
	return without(apiVersion, kind, name+", namespace: heteroaccel-system")
}

const (
	certAPI = "cert-manager.io/v1"
	pod     = "/spec/template/spec"
	main    = pod + "/containers/0"
)

// others are the installations in which values differ that no component is for: what an
// overlay of one's own would patch.
var others = map[string]installation{
	"defaults": {},
	"image": {
		values: values{"image.registry": "registry.example:5000", "image.repository": "edge/heteroaccel", "image.tag": "v9", "image.pullPolicy": "Always",
			"imagePullSecrets": []any{map[string]any{"name": "pull"}}},
		overlay: "images: [{name: heteroaccel/heteroaccel, newName: registry.example:5000/edge/heteroaccel, newTag: v9}]\npatches:\n" +
			on("Deployment|DaemonSet", ".*", `{op: add, path: `+main+`/imagePullPolicy, value: Always}, {op: add, path: `+pod+`/imagePullSecrets, value: [{name: pull}]}`),
	},
	"other kinds driven": {
		values: values{"exporter.drive": []string{"gpu", "npu"}}, components: []string{"deploy/device-driver"},
		overlay: "patches:\n" + on("DaemonSet", "heteroaccel-exporter", `{op: replace, path: `+main+`/args/6, value: "--drive=gpu,npu"}`),
	},
	"late without exception": {
		values: values{"webhook.binding": "late"}, components: []string{"deploy/late-binding"},
		overlay: "patches:\n" + on("Deployment", "heteroaccel-webhook", `{op: replace, path: `+main+`/args/9, value: "--binding=late"}`),
	},
	"digest": {
		values:  values{"image.digest": digest, "image.tag": "v9"},
		overlay: "images: [{name: heteroaccel/heteroaccel, digest: '" + digest + "'}]\n",
	},
	"webhook in its node's network": {
		values: values{"webhook.hostNetwork": true, "webhook.ports.https": 10250, "webhook.ports.metrics": 10251, "webhook.ports.health": 10252},
		overlay: "patches:\n" + on("Namespace", "heteroaccel-system", `{op: replace, path: /metadata/labels/pod-security.kubernetes.io~1enforce, value: privileged}`) +
			on("Deployment", "heteroaccel-webhook", `{op: add, path: `+pod+`/hostNetwork, value: true}, {op: add, path: `+pod+`/dnsPolicy, value: ClusterFirstWithHostNet},
			{op: replace, path: `+main+`/args/0, value: "--bind-address=:10250"}, {op: replace, path: `+main+`/args/1, value: "--metrics-bind-address=:10251"},
			{op: replace, path: `+main+`/args/2, value: "--health-probe-bind-address=:10252"}, {op: replace, path: `+main+`/ports/0/containerPort, value: 10250},
			{op: replace, path: `+main+`/ports/1/containerPort, value: 10251}, {op: replace, path: `+main+`/ports/2/containerPort, value: 10252}`),
	},
	"other namespaces": {
		namespace: "accel-core",
		values: values{"namespaces.exporter.name": "accel-nodes", "namespaces.sessions.name": "accel-sessions", "connector.enabled": true, "connector.node.enabled": true,
			"connector.gateway.enabled": true, "certificates.mode": "cert-manager", "extender.tls.enabled": true, "extender.pages.enabled": true, "extender.replicas": 2,
			"networkPolicies.enabled": true, "networkPolicies.apiServerAddresses": []string{"192.0.2.1/32"}, "monitoring.monitors.enabled": true, "monitoring.rules.enabled": true, "monitoring.dashboard.enabled": true},
		components: []string{"certs", "certs/extender", "deploy/extender-pages", "deploy/extender-replicas", "deploy/connector", "deploy/connector-node", "deploy/connector-gateway", "deploy/monitoring", "deploy/grafana", "deploy/network-policies"},
	},
	"other namespaces, with Prometheus": {
		namespace: "accel-core",
		values:    values{"namespaces.exporter.name": "accel-nodes", "namespaces.sessions.name": "accel-sessions", "telemetry.prometheusURL": "http://p:9090"},
		overlay: "patches:\n" + on("Deployment", "heteroaccel-webhook", `{op: replace, path: `+main+`/args/3, value: "--prometheus-url=http://p:9090"},
			{op: add, path: `+main+`/args/4, value: '--prometheus-selector=job="heteroaccel-exporter",namespace="accel-nodes"'}`) +
			on("Deployment", "heteroaccel-extender", `{op: replace, path: `+main+`/args/1, value: "--prometheus-url=http://p:9090"},
			{op: add, path: `+main+`/args/2, value: '--prometheus-selector=job="heteroaccel-exporter",namespace="accel-nodes"'}`),
	},
	"namespaces of others": {
		values:     values{"namespaces.createSystem": false, "namespaces.exporter.create": false, "namespaces.sessions.create": false, "connector.enabled": true},
		components: []string{"deploy/connector"},
		overlay:    "patches:\n" + without("v1", "Namespace", "heteroaccel-system") + without("v1", "Namespace", "heteroaccel-exporter") + without("v1", "Namespace", "heteroaccel-sessions"),
	},
	"issuer of others": {
		values: values{"certificates.mode": "cert-manager", "certificates.issuerRef.name": "vault", "certificates.issuerRef.kind": "VaultIssuer", "certificates.issuerRef.group": "example.com",
			"certificates.duration": "48h", "certificates.renewBefore": "16h", "certificates.secretName": "w-tls", "extender.tls.enabled": true, "extender.tls.secretName": "e-tls"},
		components: []string{"certs", "certs/extender"},
		overlay: "patches:\n" + withoutIn(certAPI, "Issuer", "heteroaccel-self-signed") + withoutIn(certAPI, "Issuer", "heteroaccel-ca") + withoutIn(certAPI, "Certificate", "heteroaccel-ca") +
			on("Certificate", "heteroaccel-(webhook|extender|extender-client)", `{op: replace, path: /spec/issuerRef, value: {name: vault, kind: VaultIssuer, group: example.com}},
			{op: replace, path: /spec/duration, value: 48h}, {op: replace, path: /spec/renewBefore, value: 16h}`) +
			on("Certificate", "heteroaccel-webhook", `{op: replace, path: /spec/secretName, value: w-tls}`) + on("Certificate", "heteroaccel-extender", `{op: replace, path: /spec/secretName, value: e-tls}`) +
			on("Deployment", "heteroaccel-webhook", `{op: replace, path: `+pod+`/volumes/0/secret/secretName, value: w-tls}`) +
			on("Deployment", "heteroaccel-extender", `{op: replace, path: `+pod+`/volumes/0/secret/secretName, value: e-tls}`),
	},
	"Secret of others": {
		values:     values{"certificates.mode": "secret", "certificates.secretName": "w-tls", "certificates.caBundle": "-----BEGIN CERTIFICATE-----\n"},
		components: []string{"certs"},
		overlay: "patches:\n" + withoutIn(certAPI, "Issuer", "heteroaccel-self-signed") + withoutIn(certAPI, "Issuer", "heteroaccel-ca") +
			withoutIn(certAPI, "Certificate", "heteroaccel-ca") + withoutIn(certAPI, "Certificate", "heteroaccel-webhook") +
			on("MutatingWebhookConfiguration", "heteroaccel", `{op: remove, path: /metadata/annotations}, {op: add, path: /webhooks/0/clientConfig/caBundle, value: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==}`) +
			on("Deployment", "heteroaccel-webhook", `{op: replace, path: `+pod+`/volumes/0/secret/secretName, value: w-tls}`),
	},
	"callers by other names": {
		values: values{"webhook.clientCA.enabled": true, "webhook.clientCA.configMap": "ca", "webhook.clientCA.allowedNames": []string{"apiserver"},
			"extender.tls.enabled": true, "extender.tls.allowedNames": []string{"s"}, "extender.clusterIP": "10.96.0.88"},
		components: []string{"deploy/webhook-client-ca", "deploy/extender-tls"},
		overlay: "patches:\n" + on("Deployment", "heteroaccel-webhook", `{op: replace, path: `+main+`/args/10, value: "--client-allowed-names=apiserver"}, {op: replace, path: `+pod+`/volumes/0/configMap/name, value: ca}`) +
			on("Deployment", "heteroaccel-extender", `{op: replace, path: `+main+`/args/9, value: "--client-allowed-names=s"}`) +
			on("Service", "heteroaccel-extender", `{op: add, path: /spec/clusterIP, value: 10.96.0.88}`),
	},
	"exporter elsewhere": {
		values: values{"exporter.kubeletDirectory": "/var/lib/k0s/kubelet", "exporter.maxUnavailable": 1},
		overlay: "patches:\n" + on("DaemonSet", "heteroaccel-exporter", `{op: replace, path: /spec/updateStrategy/rollingUpdate/maxUnavailable, value: 1},
			{op: replace, path: `+main+`/args/1, value: "--podresources-socket=/var/lib/k0s/kubelet/pod-resources/kubelet.sock"},
			{op: replace, path: `+main+`/volumeMounts/1/mountPath, value: /var/lib/k0s/kubelet/pod-resources}, {op: replace, path: `+pod+`/volumes/1/hostPath/path, value: /var/lib/k0s/kubelet/pod-resources}`),
	},
	"connector elsewhere": {
		values: values{"connector.enabled": true, "connector.replicas": 3, "connector.node.enabled": true, "connector.node.nodePort": 30099, "connector.gateway.enabled": true,
			"connector.gateway.name": "edge", "connector.gateway.namespace": "gateways"},
		components: []string{"deploy/connector", "deploy/connector-node", "deploy/connector-gateway"},
		overlay: "patches:\n" + on("Deployment", "heteroaccel-connector", `{op: replace, path: /spec/replicas, value: 3}`) +
			on("Service", "heteroaccel-connector-node", `{op: replace, path: /spec/ports/0/nodePort, value: 30099}`) +
			on("Deployment|DaemonSet", "heteroaccel-connector.*", `{op: replace, path: `+main+`/args/5, value: "--gateway=gateways/edge"}`) +
			on("Role", "heteroaccel-connector-gateway, namespace: heteroaccel-system", `{op: replace, path: /metadata/namespace, value: gateways}, {op: replace, path: /rules/0/resourceNames, value: [edge]}`) +
			on("RoleBinding", "heteroaccel-connector-gateway, namespace: heteroaccel-system", `{op: replace, path: /metadata/namespace, value: gateways}`),
	},
	"network of others": {
		values: values{"networkPolicies.enabled": true, "networkPolicies.apiServerAddresses": []string{"192.0.2.1/32"}, "networkPolicies.apiServerPorts": []int{8443},
			"networkPolicies.scrapers": []any{peers}, "networkPolicies.dns": []any{peers}, "networkPolicies.prometheus.peers": []any{peers}, "networkPolicies.prometheus.port": 9091},
		components: []string{"deploy/network-policies"},
		overlay: "patches:\n" + on("NetworkPolicy", "heteroaccel-to-api-server", `{op: replace, path: /spec/egress/0/ports, value: [{port: 8443}]}`) +
			on("NetworkPolicy", "heteroaccel-metrics", `{op: add, path: /spec/ingress/0/from/-, value: `+peersJSON+`}`) +
			on("NetworkPolicy", "heteroaccel-telemetry, namespace: heteroaccel-exporter", `{op: add, path: /spec/ingress/0/from/-, value: `+peersJSON+`}`) +
			on("NetworkPolicy", "heteroaccel-dns", `{op: replace, path: /spec/egress/0/to, value: [`+peersJSON+`]}`) +
			on("NetworkPolicy", "heteroaccel-to-prometheus", `{op: add, path: /spec/egress/-, value: {to: [`+peersJSON+`], ports: [{port: 9091}]}}`),
	},
	"monitoring by labels": {
		values: values{"monitoring.monitors.enabled": true, "monitoring.rules.enabled": true, "monitoring.monitors.labels": map[string]any{"release": "a"},
			"monitoring.rules.labels": map[string]any{"release": "b"}, "monitoring.rules.runbookURL": "http://wiki/heteroaccel", "monitoring.dashboard.enabled": true, "monitoring.dashboard.labels": map[string]any{"release": "c"}, "telemetry.prometheusURL": "http://p", "telemetry.prometheusSelector": `job="x"`},
		components: []string{"deploy/monitoring", "deploy/grafana"},
		overlay: "patches:\n" + on("ConfigMap", "heteroaccel-dashboard", `{op: add, path: /metadata/labels/release, value: c}`) + on("ServiceMonitor|PodMonitor", ".*", `{op: add, path: /metadata/labels, value: {release: a}}`) + on("PrometheusRule", ".*", `{op: add, path: /metadata/labels, value: {release: b}}`+runbooksAt("http://wiki/heteroaccel")) +
			on("Deployment", "heteroaccel-webhook", `{op: replace, path: `+main+`/args/3, value: "--prometheus-url=http://p"}, {op: add, path: `+main+`/args/4, value: '--prometheus-selector=job="x"'}`) +
			on("Deployment", "heteroaccel-extender", `{op: replace, path: `+main+`/args/1, value: "--prometheus-url=http://p"}, {op: add, path: `+main+`/args/2, value: '--prometheus-selector=job="x"'}`),
	},
	"policy and replicas": {
		values: values{"webhook.policy": "idle-first", "webhook.replicas": 3, "extender.replicas": 3},
		overlay: "patches:\n" + on("Deployment", "heteroaccel-(webhook|extender)", `{op: replace, path: /spec/replicas, value: 3}`) +
			on("Deployment", "heteroaccel-webhook", `{op: replace, path: `+main+`/args/4, value: "--policy=idle-first"}`),
		components: []string{"deploy/extender-replicas"},
	},
}

const (
	digest    = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	peersJSON = `{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}`
)

// runbooksAt are the operations by which the alerts lead to another copy of the page.
func runbooksAt(url string) string {
	data, err := os.ReadFile("prometheus/rules.yml")
	var rules monitoringv1.PrometheusRuleSpec
	if err == nil {
		err = yaml.Unmarshal(data, &rules)
	}
	if err != nil {
		panic(err)
	}
	var out strings.Builder
	for i, g := range rules.Groups {
		for j, r := range g.Rules {
			if r.Alert != "" {
				fmt.Fprintf(&out, ", {op: replace, path: /spec/groups/%d/rules/%d/annotations/runbook_url, value: '%s#%s'}", i, j, url, strings.ToLower(r.Alert))
			}
		}
	}
	return out.String()
}

var peers = map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "monitoring"}}}
