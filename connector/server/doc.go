// Package server is the connector's HTTP API: sessions are asked for, watched,
// renewed and ended.
//
// Requests of known clients enter and become calls of a Sessions; its views
// leave as JSON, or as a stream of events, and errors as RFC 9457 problems. The
// OpenAPI document is generated from the operations as they are registered. The
// package keeps no state but the rates of clients.
package server
