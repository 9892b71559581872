package main

import (
	"fmt"
	"strings"
)

// workload is what the manifests of our Deployments and DaemonSets have in common.
type workload struct {
	name     string // heteroaccel-webhook
	values   string // where its values are: webhook
	priority string
	requests string // of CPU and memory
	limit    string // of memory
	cpu      string
	affinity string // what the manifest has, or what there is by default
	host     bool   // whether it can run in its node's network
}

// edits are those of the pod, but for arguments and volumes.
func (w workload) edits() []edit {
	v := ".Values." + w.values
	at := fmt.Sprintf("    spec:\n      serviceAccountName: %s\n", strings.TrimSuffix(w.name, "-node"))
	spec := at + optional(".Values.imagePullSecrets", "imagePullSecrets", 6) + optional(v+".nodeSelector", "nodeSelector", 6)
	if w.host {
		spec += lines(6, "{{- if "+v+".hostNetwork }}", "hostNetwork: true", "dnsPolicy: ClusterFirstWithHostNet", "{{- end }}")
	}
	return []edit{
		{old: "    metadata:\n      labels:\n        app.kubernetes.io/name: " + w.name + "\n", new: "    metadata:\n" +
			optional(v+".podAnnotations", "annotations", 6) +
			lines(6, "labels:", "  app.kubernetes.io/name: "+w.name) + lines(8, "{{- with "+v+".podLabels }}", "{{- toYaml . | nindent 8 }}", "{{- end }}")},
		{old: at, new: spec},
		{old: "      priorityClassName: " + w.priority + "\n", new: lines(6, "{{- with "+v+".priorityClassName }}", "priorityClassName: {{ . | quote }}", "{{- end }}")},
		{old: "        image: heteroaccel/heteroaccel:v0.1.0\n", new: lines(8, `image: {{ include "heteroaccel.image" . | quote }}`, "{{- with .Values.image.pullPolicy }}", "imagePullPolicy: {{ . }}", "{{- end }}")},
		{old: lines(8, "resources:", "  requests:", "    cpu: "+w.cpu, "    memory: "+w.requests, "  limits:", "    memory: "+w.limit), new: optional(v+".resources", "resources", 8)},
	}
}

// placed are the edits of a Deployment's affinity and tolerations: values replace what is
// written.
func (w workload) placed(written string) edit {
	v := ".Values." + w.values
	out := optional(v+".tolerations", "tolerations", 6) + lines(6, "{{- if "+v+".affinity }}", "affinity:") + lines(8, "{{- toYaml "+v+".affinity | nindent 8 }}")
	if w.affinity != "" {
		out += lines(6, w.affinity) + spread(w.name)
	}
	out += lines(6, "{{- end }}")
	if written == "" {
		return edit{old: "      containers:\n", new: out + "      containers:\n"}
	}
	return edit{old: written, new: out}
}

// spread puts replicas on different nodes where there are several.
func spread(name string) string {
	return lines(6, "affinity:", "  podAntiAffinity:", "    preferredDuringSchedulingIgnoredDuringExecution:", "    - weight: 100",
		"      podAffinityTerm:", "        topologyKey: kubernetes.io/hostname", "        labelSelector:", "          matchLabels:",
		"            app.kubernetes.io/name: "+name)
}

// memory is the edit of the limit that Go's garbage collector knows.
func (w workload) memory() edit {
	return edit{
		old: lines(8, "- name: GOMEMLIMIT", "  value: 160MiB"),
		new: lines(8, "{{- with .Values."+w.values+".goMemLimit }}", "- name: GOMEMLIMIT", "  value: {{ . | quote }}", "{{- end }}"),
	}
}

// arguments is the edit that appends arguments to the last one: each line is as it stands
// in the template.
func (w workload) arguments(last string, more ...string) edit {
	return edit{old: lines(8, last), new: lines(8, last) + lines(8, more...) +
		lines(8, "{{- with .Values."+w.values+".extraArgs }}", "{{- toYaml . | nindent 8 }}", "{{- end }}")}
}

// optional is a field that is there when the value is not empty.
func optional(value, field string, indent int) string {
	return lines(indent, "{{- with "+value+" }}", field+":", fmt.Sprintf("  {{- toYaml . | nindent %d }}", indent+2), "{{- end }}")
}

// lines indents each line by spaces and ends it.
func lines(indent int, text ...string) string {
	var out strings.Builder
	for _, line := range text {
		out.WriteString(strings.Repeat(" ", indent) + line + "\n")
	}
	return out.String()
}
