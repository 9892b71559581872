// Package resources is the arithmetic on resource amounts: what a node has, what
// pods hold of it, what a pod requests.
//
// ResourceLists of the API server enter; Amounts, bounded so that no sum of them
// overflows, leave. It knows neither nodes nor pods and keeps nothing.
package resources
