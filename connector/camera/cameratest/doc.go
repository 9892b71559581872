// Package cameratest is what a camera talks to: the connector's own API over
// sessions that are kept in memory, in the place of the API server, and an
// inference server that speaks the Open Inference Protocol.
//
// What tests say of servers and failures enters; HTTP answers leave. Only tests
// import it.
package cameratest
