// Package serve is the part of an HTTP server that every program shares: TLS
// whose certificate changes without a restart, an orderly shutdown, the
// middleware, and the one place that reads and writes JSON.
//
// Handlers and listeners enter; it knows nothing of accelerators.
package serve
