// Package podapi makes the calls of the API server that readmission needs about
// one pod.
//
// A pod that was looked at enters with each change, and the call is bound to its
// UID and, where that matters, its resourceVersion: a change can hit no other
// pod, and none that somebody changed meanwhile. What leaves is the API server's
// answer, sorted: the pod is no longer what it was (ErrChanged), it is to be
// left alone for a reason its owner should know (Rejection), or the call failed
// and may be repeated. Each call ends after CallLimit. The package decides
// nothing and keeps no state.
package podapi
