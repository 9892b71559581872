// Package schemathesis runs Schemathesis, which sends generated requests to an
// HTTP API and compares the answers with its OpenAPI document.
//
// The address of a document and a configuration enter; how many requests were
// sent leaves, or which answers were wrong. It is installed into a virtual
// environment in the user's cache, from the versions and hashes that
// requirements.txt pins, and never into the system.
package schemathesis
