// Package choice decides which pending pods are better off on another kind, and
// in which order they are recreated.
//
// The candidates of a pod, its place in the queue and a policy enter; the index
// of a better kind and the gain leave. It is pure: it reads no clock and no
// state, calls no API and reserves nothing.
package choice
