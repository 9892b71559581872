// Package verbs answers kube-scheduler's three calls: filter, prioritize and
// preempt. A request passes through its files in this order:
//
//	verbs.go       the handlers: read the body, decode, answer, send, measure
//	decode.go      JSON ▶ the part of the arguments that is needed
//	pod.go         the pod ▶ placement.Query
//	filter.go, prioritize.go, preempt.go
//	               query, node records of the inventory ▶ package placement ▶ result
//	answer.go      result ▶ JSON
//
// Requests of kube-scheduler enter; answers, metrics and the history of calls
// leave. It never calls the API server, changes nothing in the inventory, and
// knows nothing of the pages that explain its answers.
package verbs
