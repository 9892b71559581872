// Package nodepods has the pods of each node and the ResourceClaims, as the API server
// last reported them: what a simulated kubelet needs to know.
//
// A client enters; pods by node and claims by name leave. It changes nothing.
package nodepods
