// Package barepod recreates pods that have no controller.
//
// A record enters: which pod to delete, and the manifest to create. It is kept
// in a Secret of our own namespace before anything is deleted, because the pod
// exists nowhere but in the API server, and its manifest may have passwords in
// its environment: rights on Secrets in all namespaces are more than we should
// have. The Secrets have fixed names, and few, so that RBAC can name them. What
// leaves is the new pod, and the record is removed.
//
//	record ─▶ delete ─▶ create ─▶ remove the record
//	   ▲
//	   └── recovery: a record found at start is carried out from the start
//
// Each step can be done twice: the delete is bound to the UID and
// resourceVersion, the create to the name, and whoever creates first takes hold
// of the record by compare-and-swap. So a crash at any instruction loses
// nothing, and two replicas never both create.
//
// It never decides that a pod is recreated, nor for which kind. One lock guards
// which names are taken and which pods the API server refuses; it is never held
// during a call.
package barepod
