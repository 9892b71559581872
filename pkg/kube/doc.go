// Package kube sets up the connection to the API server: the client's
// configuration, the feeds that carry nodes, pods, quotas and profiles
// into the inventory, and the Lease that says which replica decides.
//
// It knows what a feed's objects are turned into, and nothing of what is
// decided with them.
package kube
