// Package server has the extender's HTTP handlers, one for each listener: it wires
// the verbs, which answer kube-scheduler, and the pages, which explain those answers
// to people.
//
//	POST /scheduler/{filter,prioritize,preempt} ▶ verbs ▶ placement
//	                                                │
//	                                                ├▶ history: how the last call for a pod ended
//	                                                └▶ bypass: which pods the scheduler did not ask about
//	                                                      │
//	GET  /nodes, /pods, /profiles, … ◀── explain ◀────────┘
//
// What to serve from enters; the handlers leave. It starts nothing, never calls the
// API server, and knows nothing of who may reach a listener.
package server
