// Package monitor brings the exporters' reports in: from a Prometheus server
// that scrapes them, or by scraping them itself.
//
// A specification such as prometheus=http://prometheus:9090 enters; samples
// leave, each with the time at which it was taken, to a sink. It merges
// nothing and never repeats an old sample as a new one: what is not heard of
// any more simply grows old.
package monitor
