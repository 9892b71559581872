// Package kube connects a program to the API server: the client's configuration,
// the feeds, and the Secret with the keys.
//
// A kubeconfig and flags enter; events of nodes, pods, profiles, volumes and quotas
// leave, to the inventory, to the stores, and to whoever registers. It decides
// nothing, and keeps no object.
//
//	feed.go        one feed: a list, a watch, and consumers in order
//	fresh.go       every object once more, as the API server has it now
//	feeds.go       which feeds there are, and their first consumers
//	dra.go         the feeds of Dynamic Resource Allocation, which may be missing
//	podevent.go    what consumers of pods are given
//	trim.go        which parts of an object are dropped
//	memory.go      when memory is returned to the system
//	readmission.go the ConfigMaps about re-admission
//	secret.go      the keys that seal the records
package kube
