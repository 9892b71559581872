// Package server is the webhook on the wire: AdmissionReviews of the API
// server enter, JSON patches or refusals leave.
//
// One review is one pass: parse, decide on the inventory, mutate, respond. It
// calls no API meanwhile, and a dry run has no side effect.
//
//	review.go   reads a review
//	admit.go    admits or refuses one pod
//	decide.go   chooses the kind and reserves it
//	respond.go  the response: allowed with a patch, or refused
package server
