{{- /* The labels of every object, beside its own. */}}
{{- define "heteroaccel.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/part-of: heteroaccel
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* The image of all programs. */}}
{{- define "heteroaccel.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end }}
{{- .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}
{{- else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Where the webhook and the extender have telemetry from: arguments. */}}
{{- define "heteroaccel.telemetry" -}}
{{- if .Values.telemetry.prometheusURL -}}
- {{ printf "--prometheus-url=%s" .Values.telemetry.prometheusURL | quote }}
{{- $selector := .Values.telemetry.prometheusSelector }}
{{- if and (not $selector) (ne .Values.namespaces.exporter.name "heteroaccel-exporter") }}
{{- $selector = printf "job=%q,namespace=%q" "heteroaccel-exporter" .Values.namespaces.exporter.name }}
{{- end }}
{{- with $selector }}
- {{ printf "--prometheus-selector=%s" . | quote }}
{{- end }}
{{- else -}}
- --exporter-endpoints=dns+http://heteroaccel-exporter.{{ .Values.namespaces.exporter.name }}:9817
{{- end }}
{{- end }}
