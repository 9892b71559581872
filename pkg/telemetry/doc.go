// Package telemetry is the contract between the exporter and its readers: the
// names, labels and meaning of every metric, written and read in this one place
// so that the two cannot drift.
//
// A Scrape enters Encode and leaves as Series; the Series of one scrape enter
// Decode and leave as a Scrape. It does no I/O and knows no wire format: package
// exposition turns Series into what Prometheus reads.
package telemetry
