// Package history remembers how the last filter and the last preempt call for
// each pod ended, so that the pages can explain it.
//
// Results enter by pod UID, from the verbs; copies of them leave. It decides
// nothing and forgets the oldest: its memory is bounded.
package history
