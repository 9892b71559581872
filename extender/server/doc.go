// Package server is the extender's HTTP handler: it wires the verbs, which
// answer kube-scheduler, and the pages, which explain those answers to people.
//
//	POST /scheduler/{filter,prioritize,preempt} ▶ verbs ▶ placement
//	                                                │
//	                                                ├▶ history: how the last call for a pod ended
//	                                                └▶ bypass: which pods the scheduler did not ask about
//	                                                      │
//	GET  /nodes, /pods, /profiles, … ◀── explain ◀────────┘
//
// What to serve from enters; a handler leaves. It starts nothing and never calls
// the API server.
package server
