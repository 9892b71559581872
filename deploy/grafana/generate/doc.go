// Command generate writes the Grafana dashboard, deploy/grafana/heteroaccel.json: see make
// generate. panels.go says what is on it, and dashboard.go how Grafana gets that.
package main
