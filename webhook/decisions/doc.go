// Package decisions tells what the webhook decided: in its log, one structured line for
// each, and to the extenders, which show it to people, by a stream.
//
// Entries of a journal enter; log lines and the stream leave. It decides nothing, and
// holds up nobody who does: the log is thinned out under load, and a reader that is too
// slow for the stream is told how much it missed.
package decisions
