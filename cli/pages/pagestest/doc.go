// Package pagestest stands for an API server and its kubelets, for tests of what reads the
// extender's pages by a forwarded port.
//
// The addresses of servers enter, as pods of extenders; ports of these are forwarded by
// the protocol that kubectl port-forward speaks.
package pagestest
