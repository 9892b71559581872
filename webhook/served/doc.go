// Package served measures how long inferences take on servers, which never end, by what
// they report themselves.
//
// Pods enter, with the profiles that say where their metrics are. The Meter reads these
// from the pods, or from a Prometheus server that has them, and writes what they tell to
// the status of the profile, by namespace, kind and load. What servers do now, and what
// they could do, leaves as metrics.
//
// It reads only from pods that run what the webhook gave them, and trusts no page: one
// value of each namespace enters in each round, and package servicetime bounds what a
// namespace can make of it.
package served
