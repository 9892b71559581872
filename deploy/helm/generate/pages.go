package main

const (
	certManager  = `eq .Values.certificates.mode "cert-manager"`
	ownCA        = `and (` + certManager + `) (not .Values.certificates.issuerRef.name)`
	selfSigned   = `eq .Values.certificates.mode "self-signed"`
	mounted      = `ne .Values.certificates.mode "self-signed"`
	connector    = `.Values.connector.enabled`
	onNodes      = `and .Values.connector.enabled .Values.connector.node.enabled`
	byGateway    = `and .Values.connector.enabled .Values.connector.gateway.enabled`
	pagesForAll  = `.Values.extender.pages.enabled`
	networkRules = `.Values.networkPolicies.enabled`
	lateBinding  = `ne .Values.webhook.binding "early"`
)

// pages lists every manifest that the chart has.
func pages() []page {
	return append([]page{
		{from: "deploy/base/namespace.yaml", to: "namespace.yaml", when: ".Values.namespaces.createSystem", edits: []edit{
			// The node's network is forbidden by the level restricted.
			{old: "pod-security.kubernetes.io/enforce: restricted", new: `pod-security.kubernetes.io/enforce: {{ ternary "privileged" "restricted" .Values.webhook.hostNetwork }}`},
		}},
		{from: "deploy/base/crd/heteroaccel.io_inferenceprofiles.yaml", to: "crd.yaml", when: ".Values.crd.install", edits: []edit{
			{old: "  annotations:\n", new: "  annotations:\n" + lines(4, "{{- if .Values.crd.keep }}", "helm.sh/resource-policy: keep", "{{- end }}")},
			{old: "  name: inferenceprofiles.heteroaccel.io\n", new: "  name: inferenceprofiles.heteroaccel.io\n" + lines(2, "labels:", "  app.kubernetes.io/component: api")},
		}},
		{from: "deploy/base/exporter/namespace.yaml", to: "exporter/namespace.yaml", when: ".Values.namespaces.exporter.create"},
		{from: "deploy/base/exporter/serviceaccount.yaml", to: "exporter/serviceaccount.yaml"},
		{from: "deploy/base/exporter/service.yaml", to: "exporter/service.yaml"},
		exporterWorkload(),
		{from: "deploy/device-driver/classes.yaml", to: "exporter/device-classes.yaml", when: ".Values.exporter.drive"},
		{from: "deploy/device-driver/rbac.yaml", to: "exporter/rbac.yaml", when: ".Values.exporter.drive"},
		{from: "deploy/device-driver/policy.yaml", to: "exporter/policy.yaml", when: ".Values.exporter.drive"},

		{from: "deploy/base/extender/rbac.yaml", to: "extender/rbac.yaml"},
		{from: "deploy/base/extender/service.yaml", to: "extender/service.yaml", edits: []edit{
			{old: "spec:\n  selector:\n", new: "spec:\n" + lines(2, "{{- with .Values.extender.clusterIP }}", "clusterIP: {{ . | quote }}", "{{- end }}") + "  selector:\n"},
		}},
		extenderWorkload(),
		{from: "deploy/extender-pages/rbac.yaml", to: "extender/pages-rbac.yaml", when: pagesForAll},
		{from: "deploy/extender-pages/service.yaml", to: "extender/pages-service.yaml", when: pagesForAll},
		{from: "deploy/extender-replicas/disruption.yaml", to: "extender/disruption.yaml", when: "gt (int .Values.extender.replicas) 1"},

		{from: "deploy/base/webhook/rbac.yaml", to: "webhook/rbac.yaml"},
		{from: "deploy/base/webhook/rbac-readmission.yaml", to: "webhook/rbac-readmission.yaml", when: ".Values.webhook.readmission"},
		{from: "deploy/late-binding/rbac.yaml", to: "webhook/rbac-late-binding.yaml", when: lateBinding},
		{from: "deploy/base/webhook/rbac-self-signed.yaml", to: "webhook/rbac-self-signed.yaml", when: selfSigned},
		{from: "deploy/base/webhook/service.yaml", to: "webhook/service.yaml"},
		{from: "deploy/base/webhook/registration.yaml", to: "webhook/registration.yaml", edits: []edit{
			{old: "metadata:\n  name: heteroaccel\n", new: "metadata:\n  name: heteroaccel\n" + lines(2, "{{- if "+certManager+" }}", "annotations:",
				"  cert-manager.io/inject-ca-from: heteroaccel-system/heteroaccel-webhook", "{{- end }}")},
			{old: "    service:\n", new: lines(4, `{{- if eq .Values.certificates.mode "secret" }}`, "caBundle: {{ .Values.certificates.caBundle | b64enc }}", "{{- end }}") + "    service:\n"},
		}},
		webhookWorkload(),
		{from: "deploy/base/webhook/disruption.yaml", to: "webhook/disruption.yaml"},

		{from: "deploy/base/policies/backstop.yaml", to: "policies/backstop.yaml"},
		{from: "deploy/base/policies/misplaced.yaml", to: "policies/misplaced.yaml"},
		{from: "deploy/base/policies/webhook-evictions.yaml", to: "policies/webhook-evictions.yaml"},
		{from: "deploy/base/policies/webhook-objects.yaml", to: "policies/webhook-objects.yaml"},
		{from: "deploy/base/policies/webhook-pods.yaml", to: "policies/webhook-pods.yaml"},
		{from: "deploy/base/policies/webhook-registration.yaml", to: "policies/webhook-registration.yaml"},
		{from: "deploy/late-binding/policy.yaml", to: "policies/late-binding.yaml", when: lateBinding},

		{from: "deploy/connector/namespace.yaml", to: "connector/namespace.yaml", when: "and .Values.connector.enabled .Values.namespaces.sessions.create"},
		{from: "deploy/connector/rbac.yaml", to: "connector/rbac.yaml", when: connector},
		{from: "deploy/connector/policy.yaml", to: "connector/policy.yaml", when: connector},
		{from: "deploy/connector/service.yaml", to: "connector/service.yaml", when: connector},
		{from: "deploy/connector/disruption.yaml", to: "connector/disruption.yaml", when: connector},
		connectorWorkload(),
		connectorOnNodes(),
		{from: "deploy/connector-node/service.yaml", to: "connector/node-service.yaml", when: onNodes, edits: []edit{
			{old: "nodePort: 30090", new: "nodePort: {{ .Values.connector.node.nodePort }}"},
		}},
		{from: "deploy/connector-gateway/policy.yaml", to: "connector/gateway-policy.yaml", when: byGateway},
		{from: "deploy/connector-gateway/rbac.yaml", to: "connector/gateway-rbac.yaml", when: byGateway, edits: []edit{
			{old: "resourceNames: [heteroaccel]", new: "resourceNames: [{{ .Values.connector.gateway.name | quote }}]"},
			{old: "  name: heteroaccel-connector-gateway\n  namespace: heteroaccel-system\n", times: 2,
				new: "  name: heteroaccel-connector-gateway\n  namespace: {{ .Values.connector.gateway.namespace | default .Release.Namespace | quote }}\n"},
		}},
	}, append(append(certificatePages(), networkPages()...), append(monitoringPages(), profilePages()...)...)...)
}

// certificatePages are what cert-manager makes certificates from.
func certificatePages() []page {
	issuer := edit{old: "    name: heteroaccel-ca\n    kind: Issuer\n    group: cert-manager.io\n",
		new: lines(4, `name: {{ .Values.certificates.issuerRef.name | default "heteroaccel-ca" | quote }}`, "kind: {{ .Values.certificates.issuerRef.kind }}", "group: {{ .Values.certificates.issuerRef.group }}")}
	life := edit{old: "  duration: 2160h # 90 days\n  renewBefore: 720h\n", new: lines(2, "duration: {{ .Values.certificates.duration }}", "renewBefore: {{ .Values.certificates.renewBefore }}")}
	twice := func(e edit) edit { return edit{e.old, e.new, 2} }
	return []page{
		{from: "certs/issuers.yaml", to: "certificates/issuers.yaml", when: ownCA},
		{from: "certs/certificate.yaml", to: "certificates/webhook.yaml", when: certManager, edits: []edit{issuer, life,
			{old: "secretName: heteroaccel-webhook-tls", new: "secretName: {{ .Values.certificates.secretName | quote }}"}}},
		{from: "certs/extender/certificate.yaml", to: "certificates/extender.yaml", when: `and (` + certManager + `) .Values.extender.tls.enabled`, edits: []edit{twice(issuer), twice(life),
			{old: "secretName: heteroaccel-extender-tls", new: "secretName: {{ .Values.extender.tls.secretName | quote }}"}}},
	}
}

// networkPages are the NetworkPolicies.
func networkPages() []page {
	ports := "    ports:\n    - port: metrics\n"
	scrapers := lines(4, "{{- with .Values.networkPolicies.scrapers }}", "{{- toYaml . | nindent 4 }}", "{{- end }}")
	ours := "          app.kubernetes.io/name: heteroaccel-prometheus\n"
	all := "          values: [heteroaccel-webhook, heteroaccel-extender, heteroaccel-connector, heteroaccel-connector-node, heteroaccel-prometheus]\n"
	api := lines(4, "{{- range .Values.networkPolicies.apiServerAddresses }}", "- ipBlock:", "    cidr: {{ . | quote }}", "{{- end }}")
	dns := lines(4, "- namespaceSelector:", "    matchLabels:", "      kubernetes.io/metadata.name: kube-system", "  podSelector:", "    matchLabels:", "      k8s-app: kube-dns")
	return []page{
		{from: "deploy/network-policies/nobody.yaml", to: "network-policies/nobody.yaml", when: networkRules, edits: []edit{
			{old: dns, new: lines(4, "{{- with .Values.networkPolicies.dns }}", "{{- toYaml . | nindent 4 }}", "{{- else }}") + dns + lines(4, "{{- end }}")},
		}},
		{from: "deploy/network-policies/api-server.yaml", to: "network-policies/api-server.yaml", when: networkRules, edits: []edit{
			{old: " in place of 192.0.2.1.", new: "."},
			{old: ", which an overlay must give", new: ", networkPolicies.apiServerAddresses"},
			{old: lines(4, "- ipBlock:", "    cidr: 192.0.2.1/32"), new: api, times: 3},
			{old: lines(4, "- port: 443", "- port: 6443"), new: lines(4, "{{- range .Values.networkPolicies.apiServerPorts }}", "- port: {{ . }}", "{{- end }}")},
		}},
		{from: "deploy/network-policies/second-scheduler.yaml", to: "network-policies/second-scheduler.yaml", when: networkRules},
		{from: "deploy/network-policies/replicas.yaml", to: "network-policies/replicas.yaml", when: networkRules},
		{from: "deploy/network-policies/decisions.yaml", to: "network-policies/decisions.yaml", when: networkRules},
		{from: "deploy/network-policies/telemetry.yaml", to: "network-policies/telemetry.yaml", when: networkRules, edits: []edit{
			{old: all + ports, new: all + scrapers + ports},
			{old: "  - to:\n    - podSelector:\n        matchLabels:\n" + ours + "    ports:\n    - port: http\n",
				new: "  - to:\n    - podSelector:\n        matchLabels:\n" + ours + "    ports:\n    - port: http\n" +
					lines(2, "{{- with .Values.networkPolicies.prometheus.peers }}", "- to:", "    {{- toYaml . | nindent 4 }}", "  ports:", "  - port: {{ $.Values.networkPolicies.prometheus.port }}", "{{- end }}")},
		}},
		{from: "deploy/network-policies/metrics.yaml", to: "network-policies/metrics.yaml", when: networkRules, edits: []edit{
			{old: ours + ports, new: ours + scrapers + ports},
		}},
		{from: "deploy/network-policies/cameras.yaml", to: "network-policies/cameras.yaml", when: networkRules},
	}
}

func profilePages() []page {
	var out []page
	for _, name := range []string{"action-recognition", "face-recognition", "object-detection", "text-recognition"} {
		out = append(out, page{from: "deploy/registry/" + name + ".yaml", to: "profiles/" + name + ".yaml", when: ".Values.profiles.install"})
	}
	return out
}
