// Package apiproxy stands between a program and the API server, and breaks what
// passes there.
//
// The program's calls enter, under the program's own certificate, and reach the API
// server as that user's. What happens to each is a Fault: it may carry the call out,
// do so late, answer in the API server's place, or do something else first, such as
// killing the program. Connections can be cut, or left open with nothing arriving any
// more. The proxy never changes what it passes on, but for the audit ID of a write: by
// it the API server's audit log tells what came from where.
package apiproxy
