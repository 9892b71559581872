package main

// telemetry is where the webhook and the extender have it from.
const telemetry = "- --exporter-endpoints=dns+http://heteroaccel-exporter.heteroaccel-exporter:9817"

// source is the edit of that argument.
func source() edit {
	return edit{old: lines(8, telemetry), new: lines(8, `{{- include "heteroaccel.telemetry" . | nindent 8 }}`)}
}

// rights ends every one of our containers.
var rights = lines(8, "securityContext:", "  allowPrivilegeEscalation: false", "  readOnlyRootFilesystem: true", "  capabilities:", "    drop: [ALL]")

func webhookWorkload() page {
	w := workload{name: "heteroaccel-webhook", values: "webhook", priority: "system-cluster-critical", requests: "64Mi", limit: "256Mi", cpu: "50m", affinity: "{{- else }}", host: true}
	tls := mounted
	return page{from: "deploy/base/webhook/deployment.yaml", to: "webhook/deployment.yaml", edits: append(w.edits(), w.memory(), w.placed(spread(w.name)), source(),
		edit{old: "  replicas: 2\n", new: "  replicas: {{ .Values.webhook.replicas }}\n"},
		edit{old: "- --bind-address=:8443", new: "- --bind-address=:{{ .Values.webhook.ports.https }}"},
		edit{old: "- --metrics-bind-address=:8080", new: "- --metrics-bind-address=:{{ .Values.webhook.ports.metrics }}"},
		edit{old: "- --health-probe-bind-address=:8081", new: "- --health-probe-bind-address=:{{ .Values.webhook.ports.health }}"},
		edit{old: "containerPort: 8443", new: "containerPort: {{ .Values.webhook.ports.https }}"},
		edit{old: "containerPort: 8080", new: "containerPort: {{ .Values.webhook.ports.metrics }}"},
		edit{old: "containerPort: 8081", new: "containerPort: {{ .Values.webhook.ports.health }}"},
		edit{old: "- --policy=priced-finish", new: "- --policy={{ .Values.webhook.policy }}"},
		w.arguments("- --leader-elect",
			"{{- if "+tls+" }}", "- --tls-cert-file=/certs/tls.crt", "- --tls-private-key-file=/certs/tls.key", "{{- end }}",
			"{{- if .Values.webhook.clientCA.enabled }}", "- --client-ca-file=/client-ca/ca.crt", `- {{ printf "--client-allowed-names=%s" (join "," .Values.webhook.clientCA.allowedNames) | quote }}`, "{{- end }}",
			"{{- if not .Values.webhook.readmission }}", "- --readmission=false", "{{- end }}",
			"{{- if "+lateBinding+" }}", "- --binding={{ .Values.webhook.binding }}", "{{- end }}"),
		edit{old: rights, new: rights + lines(6, "{{- if or ("+tls+") .Values.webhook.clientCA.enabled }}") +
			lines(8, "volumeMounts:",
				"{{- if "+tls+" }}", "- name: certs", "  mountPath: /certs", "  readOnly: true", "{{- end }}",
				"{{- if .Values.webhook.clientCA.enabled }}", "- name: client-ca", "  mountPath: /client-ca", "  readOnly: true", "{{- end }}") +
			lines(6, "volumes:",
				"{{- if "+tls+" }}", "- name: certs", "  secret:", "    secretName: {{ .Values.certificates.secretName | quote }}", "    defaultMode: 0440", "{{- end }}",
				"{{- if .Values.webhook.clientCA.enabled }}", "- name: client-ca", "  configMap:", "    name: {{ .Values.webhook.clientCA.configMap | quote }}", "{{- end }}",
				"{{- end }}")},
	)}
}

func extenderWorkload() page {
	w := workload{name: "heteroaccel-extender", values: "extender", priority: "system-cluster-critical", requests: "64Mi", limit: "256Mi", cpu: "50m",
		affinity: "{{- else if gt (int .Values.extender.replicas) 1 }}"}
	return page{from: "deploy/base/extender/deployment.yaml", to: "extender/deployment.yaml", edits: append(w.edits(), w.memory(), w.placed(""), source(),
		edit{old: "  replicas: 1\n", new: "  replicas: {{ .Values.extender.replicas }}\n"},
		w.arguments("- --health-probe-bind-address=:8081",
			"{{- if .Values.extender.tls.enabled }}", "- --tls-cert-file=/certs/tls.crt", "- --tls-private-key-file=/certs/tls.key", "- --client-ca-file=/certs/ca.crt",
			`- {{ printf "--client-allowed-names=%s" (join "," .Values.extender.tls.allowedNames) | quote }}`, "{{- end }}",
			"{{- if "+pagesForAll+" }}", "- --pages-bind-address=:8889", "{{- end }}",
			"{{- if "+lateBinding+" }}", "- --resource-claims", "{{- end }}"),
		edit{old: lines(8, "- name: health", "  containerPort: 8081"), new: lines(8, "- name: health", "  containerPort: 8081",
			"{{- if "+pagesForAll+" }}", "- name: pages", "  containerPort: 8889", "{{- end }}")},
		edit{old: rights, new: rights + lines(8, "{{- if .Values.extender.tls.enabled }}", "volumeMounts:", "- name: certs", "  mountPath: /certs", "  readOnly: true") +
			lines(6, "volumes:", "- name: certs", "  secret:", "    secretName: {{ .Values.extender.tls.secretName | quote }}", "    defaultMode: 0440", "{{- end }}")},
	)}
}

func exporterWorkload() page {
	w := workload{name: "heteroaccel-exporter", values: "exporter", priority: "system-node-critical", requests: "24Mi", limit: "96Mi", cpu: "10m"}
	use, drive := ".Values.exporter.externalUse", ".Values.exporter.drive"
	return page{from: "deploy/base/exporter/daemonset.yaml", to: "exporter/daemonset.yaml", edits: append(w.edits(),
		w.placed("      # Nodes with accelerators are often tainted for them.\n      tolerations:\n      - operator: Exists\n"),
		edit{old: "      maxUnavailable: 10%\n", new: lines(6, "{{- if "+drive+" }}", "maxSurge: {{ .Values.exporter.maxUnavailable }}", "maxUnavailable: 0", "{{- else }}",
			"maxUnavailable: {{ .Values.exporter.maxUnavailable }}", "{{- end }}")},
		edit{old: "automountServiceAccountToken: false", new: "automountServiceAccountToken: {{ not (empty " + drive + ") }}"},
		edit{old: lines(8, "env:"), new: lines(8, "env:", "{{- if "+drive+" }}", "- name: POD_UID", "  valueFrom:", "    fieldRef:", "      fieldPath: metadata.uid", "{{- end }}")},
		edit{old: "/var/lib/kubelet/", new: "{{ .Values.exporter.kubeletDirectory }}/", times: 3},
		w.arguments("- --web.listen-address=:9817", "{{- if "+use+" }}", "- --path.procfs=/host/proc", "- --detect-external-use", "{{- end }}",
			"{{- if "+drive+" }}", "- --path.dev=/host/dev", "- --plugin-registry-dir={{ .Values.exporter.kubeletDirectory }}/plugins_registry",
			"- --plugin-data-dir={{ .Values.exporter.kubeletDirectory }}/plugins/devices.heteroaccel.io", `- {{ printf "--drive=%s" (join "," .Values.exporter.drive) | quote }}`, "{{- end }}"),
		edit{old: lines(10, "capabilities:", "  drop: [ALL]"), new: lines(10, "capabilities:", "  drop: [ALL]",
			"  {{- if "+use+" }}",
			"  # To read which device files other users' processes have open. AppArmor's",
			"  # default profile forbids that to every capability.",
			"  add: [SYS_PTRACE, DAC_READ_SEARCH]", "appArmorProfile:", "  type: Unconfined", "  {{- end }}")},
		edit{old: lines(8, "volumeMounts:"), new: lines(8, "volumeMounts:",
			"{{- if "+drive+" }}", "# The kubelet must see the driver's sockets at the same paths.",
			"- name: plugin", "  mountPath: {{ .Values.exporter.kubeletDirectory }}/plugins/devices.heteroaccel.io",
			"- name: plugins-registry", "  mountPath: {{ .Values.exporter.kubeletDirectory }}/plugins_registry",
			"- name: cdi", "  mountPath: /var/run/cdi",
			"- name: dev", "  mountPath: /host/dev", "  readOnly: true", "  recursiveReadOnly: IfPossible", "{{- end }}",
			"{{- if "+use+" }}", "- name: proc", "  mountPath: /host/proc", "  readOnly: true", "  recursiveReadOnly: IfPossible", "{{- end }}")},
		edit{old: lines(6, "volumes:"), new: lines(6, "volumes:", "{{- if "+drive+" }}",
			"- name: plugin", "  hostPath:", "    path: {{ .Values.exporter.kubeletDirectory }}/plugins/devices.heteroaccel.io", "    type: DirectoryOrCreate",
			"- name: plugins-registry", "  hostPath:", "    path: {{ .Values.exporter.kubeletDirectory }}/plugins_registry", "    type: DirectoryOrCreate",
			"- name: cdi", "  hostPath:", "    path: /var/run/cdi", "    type: DirectoryOrCreate",
			"- name: dev", "  hostPath:", "    path: /dev", "    type: Directory", "{{- end }}",
			"{{- if "+use+" }}", "- name: proc", "  hostPath:", "    path: /proc", "    type: Directory", "{{- end }}")},
	)}
}

// gateway is how connectors reach sessions' servers when there is one.
var gateway = []string{
	"{{- if .Values.connector.gateway.enabled }}",
	`- --gateway={{ .Values.connector.gateway.namespace | default .Release.Namespace }}/{{ .Values.connector.gateway.name }}`,
	"{{- end }}",
}

func connectorWorkload() page {
	w := workload{name: "heteroaccel-connector", values: "connector", priority: "system-cluster-critical", requests: "64Mi", limit: "256Mi", cpu: "50m", affinity: "{{- else }}"}
	return page{from: "deploy/connector/deployment.yaml", to: "connector/deployment.yaml", when: connector, edits: append(w.edits(), w.memory(), w.placed(spread(w.name)),
		edit{old: "  replicas: 2\n", new: "  replicas: {{ .Values.connector.replicas }}\n"},
		w.arguments(telemetry, gateway...))}
}

func connectorOnNodes() page {
	w := workload{name: "heteroaccel-connector-node", values: "connector.node", priority: "system-node-critical", requests: "64Mi", limit: "256Mi", cpu: "50m"}
	return page{from: "deploy/connector-node/daemonset.yaml", to: "connector/node-daemonset.yaml", when: onNodes, edits: append(w.edits(), w.memory(), w.placed(""), w.arguments(telemetry, gateway...))}
}
