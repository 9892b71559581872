// Package serve is the part of an HTTP server that every program shares: an
// orderly shutdown, the middleware, and the one place that reads and writes
// JSON. Package certificate has the certificates.
//
// Handlers and listeners enter; it knows nothing of accelerators.
package serve
