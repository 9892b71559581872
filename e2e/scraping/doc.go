// Package scraping holds no code: its tests have a real Prometheus scrape real
// exporters, as deploy/prometheus says, and look at what comes out at its end,
// in pkg/monitor and in the rules. They need no cluster, but compile Prometheus
// (some minutes, once), and so are built with the tag cluster only.
package scraping
