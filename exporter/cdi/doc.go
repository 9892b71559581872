// Package cdi writes what container runtimes give to the containers of a claim: a
// file of the Container Device Interface for each claim.
//
// A claim with its devices enters; a file leaves, whole or not at all, and goes when
// the claim is unprepared. The files are the only state of what is prepared: another
// process, or this one after a restart, reads them. It never touches files of others.
package cdi
