// Package client asks the connector for a session and keeps it.
//
// What a camera wants enters; the session as the connector has it leaves, again
// with each change. It retries what may succeed later, and never infers.
package client
