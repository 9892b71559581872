// Package barepod recreates pods that have no controller.
//
// A record enters: which pod to delete, and the manifest to create. It is stored
// in a Secret of our own namespace before anything is deleted, because the pod
// exists nowhere but in the API server, and its manifest may have passwords in
// its environment: nobody should give us rights on the Secrets of all namespaces.
// The Secrets have fixed names, and few, so that RBAC can name them. What leaves
// is the new pod, and the record is removed.
//
//	store the record ─▶ delete ─▶ create ─▶ remove the record
//	   ▲
//	   └── recovery: a record found at start is carried out from the start
//
// Each step can be repeated: the delete is bound to the UID and resourceVersion,
// the create to the name, and whoever creates acquires the record by
// compare-and-swap just before. So a crash at any instruction loses nothing, and
// of two replicas one creates.
//
// It never decides that a pod is recreated, nor for which kind. One lock guards
// the names of records and the pods that the API server refuses, and is never
// held during a call; a second lets one status be written at a time.
package barepod
