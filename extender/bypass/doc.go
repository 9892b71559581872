// Package bypass notices pods that kube-scheduler bound without asking the
// extender: because its configuration does not list the resource they request,
// or because it cannot reach the extender.
//
// Every pod enters as it comes and goes, and the resources the scheduler asks
// about; a report of the bypassed resources, a warning and a counter leave. It
// changes nothing.
package bypass
