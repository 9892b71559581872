// Package bypass notices pods that kube-scheduler bound without asking the
// extender: because its configuration does not list the resource they request,
// or because it cannot reach the extender.
//
// Every pod enters as it comes and goes, and the resources the scheduler asks
// about; a report of the bypassed resources, a warning and counters leave. It
// changes nothing.
//
//	watcher.go  follows pods until they are bound
//	report.go   what is said to people
//	metrics.go  what is counted
//
// Of two replicas kube-scheduler asks one. What a replica is not asked about may have
// been asked of the other: while there is another it warns of nothing. The counters
// of all replicas together do tell: a pod that every one of them counts as bound, and
// none as asked about, bypassed them all.
package bypass
