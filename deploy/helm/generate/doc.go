// Command generate writes the templates of the Helm chart from the kustomize manifests, so
// that each object is written in one place. Run it by "make generate".
//
// A manifest and a list of edits of its text enter; a template leaves, in which names of
// namespaces and what a value decides stand for what the manifest has. An edit whose text is
// not in the manifest any more is an error. It renders nothing, and writes below the chart's
// templates and to deploy/monitoring/rules.yaml alone; the template files that have no
// manifest (helpers, checks, notes) are written by hand.
package main
