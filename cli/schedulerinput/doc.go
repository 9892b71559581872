// Package schedulerinput reads of a cluster what kube-scheduler has to know of the
// extender: its address, its certificates, and the profiles' resources.
//
// A client enters; a distribution.Request leaves. It changes nothing.
package schedulerinput
