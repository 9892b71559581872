// Package server is the extender's HTTP side: the three verbs kube-scheduler
// calls, and what people read with curl.
//
// Requests enter, and the inventory and the profiles are read; answers and
// metrics leave. It never calls the API server, changes nothing in the
// inventory, and starts nothing: a handler is all it is.
//
//	POST /scheduler/filter      ┐ decode ▶ inventory.Lookup ▶ placement ▶ answer
//	POST /scheduler/prioritize  │ (pooled, names only)         │
//	POST /scheduler/preempt     ┘                              │
//	                                                           ▼ why a node was rejected
//	GET  /pods/{namespace}/{name}  ◀───────────────────── verdicts, bounded
//
// The pods that are followed tell which were bound without the scheduler asking:
// then its configuration lacks their resource, and the pages say so.
package server
