// Package plan draws what a soak does: the machines, the namespaces with what
// the API server forbids in them, the owners of pods, and what happens when.
//
// A seed and a size enter; objects to create and a timetable leave, the same
// ones for the same seed. It talks to no cluster. Nothing in it cannot be: of
// every pod there is an allowed kind that some node it may run on has, though
// the API server may refuse that kind in its namespace.
package plan
