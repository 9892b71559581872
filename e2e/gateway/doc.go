// Package gateway runs a real implementation of the Gateway API beside a cluster:
// Contour, which reads Gateways and HTTPRoutes and writes their status, and Envoy,
// which passes requests on as Contour says.
//
// A running cluster enters, with the network that both are to run in; the address
// of the Gateway leaves, whose manifest is here too. Both programs are kept in the
// user's cache: Contour is compiled from its module, Envoy is a wheel of Python's
// package index, pinned with its hash.
package gateway
