// Package deviceflag rewrites the device on a container's command line: -d GPU
// becomes -d NPU.
//
// A container, its profile and the variant that it gets enter; the rewritten
// command and args leave, with what undoes the rewriting and with warnings about
// whatever may still name another device. The package is pure: it chooses no
// variant and never changes the container that it is given.
//
//	rewrite.go     the command line as a list of words: the flags among them
//	findscript.go  which of the words is a script that a shell runs
//	script.go      the flags within a script, or any other longer text
//	value.go       where the value of a flag begins and ends in a text
//	quoting.go     where words begin and end in a text, quotes
//	openvino.go    which values are devices, and what each becomes
//	change.go      the change of a list of words, and how it is undone
//	warn.go        warnings: what may still name another device
//	warnenv.go     the same in variables
//	othernames.go  finds the names of other devices in a text
package deviceflag
