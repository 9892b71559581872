// Package explain shows people what the extender knows: nodes and their
// devices, pods and what they wait for, profiles, and what kube-scheduler's
// configuration needs. Each page is text for a terminal, or JSON.
//
// GET requests enter, and the inventory, the profiles and the history of
// kube-scheduler's calls are read; pages leave. It changes nothing, and knows
// the verbs only by the history of their calls.
package explain
