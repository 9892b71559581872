// Package servertest has sessions in memory, for tests of the connector's API and
// of its clients: they stand for the controller and the API server.
//
// What the API asks of sessions enters, and what the test says of their servers;
// views of sessions leave. Nothing of Kubernetes is ever called.
package servertest
