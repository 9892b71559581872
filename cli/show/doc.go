// Package show makes of the extender's pages what people read: the queue of each kind, an
// overview, nodes with their devices, decisions.
//
// Pages, as they were read, enter; tables leave, and values for JSON. It asks nobody,
// knows no time of its own, and prints nothing.
package show
