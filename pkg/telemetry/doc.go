// Package telemetry is the contract between the exporter and whoever reads it:
// the names, labels and meaning of every metric, written and read in this one
// place so that the two cannot drift.
//
// A Sample enters Encode and leaves as Series; the Series of one scrape enter
// Decode and leave as a Sample. It does no I/O and knows no wire format: the
// package exposition beneath it turns Series into what Prometheus reads.
package telemetry
