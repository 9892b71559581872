// Package playback is cameras: each has a session with the connector and shows its
// frames to the inference server whose address it is given.
//
// A client of the connector and frames enter; counts and latencies leave. It
// chooses no server, and shows no frame a second time that was lost.
package playback
