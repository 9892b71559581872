// Package healthcheck asks a server whether it is healthy, as the health check of a
// container does whose image has no shell and no curl.
//
// An address enters, and one sentence leaves that says what the server answered. It
// starts nothing, changes nothing, and asks once.
package healthcheck
