// Package load asks a server at a steady rate, each time over a new connection, and counts
// what became of every request.
//
// A URL and a rate enter; a report leaves, as long as it runs and at its end. It waits for
// no answer before it asks again, and never asks twice for what failed.
package load
