// Package servers keeps the pods of Deployments that run without an end: which of them may
// be moved to a faster kind, and which hold a kind that the next revision is waiting for.
//
// Pods enter from the feed; what is known of a Deployment's servers leaves. It calls no API
// and chooses no kind.
package servers
