// Package session has the connector's picture of the sessions that clients
// asked for and of the inference servers behind them, and plans what to do
// next.
//
// Sessions and servers, as the API server shows them, and the time enter; what
// should be assigned, created, deleted and ended leaves. A plan looks at the
// state alone and not at how it came about, so whoever starts with an empty
// memory goes on where another stopped. The package calls nobody and decides
// nothing about accelerators: a server is a pod like any other, and the webhook
// and the scheduler choose where it runs.
package session
