// Package server is the webhook on the wire: AdmissionReviews of the API
// server enter, JSON patches or refusals leave.
//
// One review is one pass: parse, decide on the inventory, mutate, answer. It
// calls no API on the way and has no effect on a dry run.
package server
