// Package monitor reads the exporters' telemetry: from a Prometheus server that
// scrapes them, or by scraping them itself.
//
// Addresses of exporters, or of Prometheus, enter; scrapes leave to a sink, each
// with its time. It merges nothing, and never passes an old scrape on as a new
// one: the telemetry of a node that is gone just grows old.
//
// Whoever says something of a node is bound to it from outside: by the API server,
// which knows on which node a pod has an address; by Prometheus' labels of the
// target; or by the operator, who names the exporter. A page's own claim is only
// compared with that. Where they differ, or two speak for one node, nothing counts
// that they say of it.
package monitor
