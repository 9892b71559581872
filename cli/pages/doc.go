// Package pages reads the extender's pages, which say what it knows of nodes, devices
// and kube-scheduler's questions.
//
// A URL, or a pod to which a port is forwarded with the caller's rights, enters; what
// the pages say leaves. It changes nothing.
package pages
