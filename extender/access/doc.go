// Package access is who may see the pages.
//
// Requests for pages enter, and those leave that are answered at all, with what
// their sender may list. On a loopback address that is everything: who reaches it was
// let in by the machine or, through kubectl port-forward, by the API server. Elsewhere
// the API server is asked. It knows nothing of what is on the pages.
package access
