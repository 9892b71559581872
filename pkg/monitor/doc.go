// Package monitor reads the exporters' telemetry: from a Prometheus server that
// scrapes them, or by scraping them itself.
//
// Addresses of exporters, or of Prometheus, enter; scrapes leave to a sink, each
// with its time. It merges nothing, and never passes an old scrape on as a new
// one: the telemetry of a node that is gone just grows old.
package monitor
