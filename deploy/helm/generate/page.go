package main

import (
	"fmt"
	"regexp"
	"strings"
)

// page is one manifest and the template that is made of it.
type page struct {
	from, to string // paths below the repository's root, and below the chart's templates
	when     string // the condition under which there is any of it; "" for always
	edits    []edit
}

// edit replaces a text of the manifest, which has it as often as times says.
type edit struct {
	old, new string
	times    int // 0 counts as once
}

// everywhere is an edit's times where it is not known how often the text is there.
const everywhere = -1

// ofNamespace finds the name of the exporters' namespace, which their workload, Service
// and account have too, where it is that of the namespace.
var ofNamespace = regexp.MustCompile(`(namespace: |metadata\.name: |kind: Namespace\nmetadata:\n  name: )heteroaccel-(exporter|system|sessions)\n`)

// namespaces are the ways in which a namespace is named within a longer text.
var namespaces = strings.NewReplacer(
	"heteroaccel-system, heteroaccel-exporter]", `{{ .Release.Namespace | quote }}, {{ .Values.namespaces.exporter.name | quote }}]`,
	"'heteroaccel-exporter'", `'{{ .Values.namespaces.exporter.name }}'`,
	"serviceaccount:heteroaccel-exporter:", `serviceaccount:{{ .Values.namespaces.exporter.name }}:`,
	"heteroaccel-exporter.heteroaccel-exporter:", `heteroaccel-exporter.{{ .Values.namespaces.exporter.name }}:`,
	"[heteroaccel-sessions]", `[{{ .Values.namespaces.sessions.name | quote }}]`,
	"heteroaccel-sessions", `{{ .Values.namespaces.sessions.name }}`,
	"heteroaccel-system", `{{ .Release.Namespace }}`,
)

// names maps a namespace to the template that yields its name.
var names = map[string]string{
	"system":   `{{ .Release.Namespace | quote }}`,
	"exporter": `{{ .Values.namespaces.exporter.name | quote }}`,
	"sessions": `{{ .Values.namespaces.sessions.name | quote }}`,
}

// template returns the manifest as a template, or which edit found nothing to change.
func (p page) template(manifest string) (string, error) {
	text := strings.ReplaceAll(manifest, "{{", `{{ "{{" }}`)
	for _, e := range p.edits {
		n := strings.Count(text, e.old)
		if want := max(e.times, 1); n != want && (e.times != everywhere || n == 0) {
			return "", fmt.Errorf("is there %d times, want %d; change the edit in deploy/helm/generate:\n%s", n, want, e.old)
		}
		text = strings.ReplaceAll(text, e.old, e.new)
	}
	text = ofNamespace.ReplaceAllStringFunc(text, func(s string) string {
		m := ofNamespace.FindStringSubmatch(s)
		return m[1] + names[m[2]] + "\n"
	})
	text = labelled(namespaces.Replace(text))
	header := fmt.Sprintf("{{- /* Generated from %s: change that, and run make generate. */}}\n", p.from)
	if p.when == "" {
		return header + text, nil
	}
	return header + "{{- if " + p.when + " }}\n" + text + "{{- end }}\n", nil
}

// metadata finds the beginning of each object's own, and whether it has labels.
var metadata = regexp.MustCompile(`(?m)^metadata:\n(  annotations:\n(?:    .*\n)+)?  name: .*\n(  namespace: .*\n)?(  labels:\n)?`)

// labelled gives each object the labels of the release.
func labelled(text string) string {
	return metadata.ReplaceAllStringFunc(text, func(s string) string {
		if !strings.HasSuffix(s, "  labels:\n") {
			s += "  labels:\n"
		}
		return s + `    {{- include "heteroaccel.labels" $ | nindent 4 }}` + "\n"
	})
}
