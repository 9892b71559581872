// Package faults has the tests of make faults: each breaks something while pods come,
// wait, are recreated and end, and then looks whether any was lost or doubled.
//
// A fault enters; how often it happened, and what became of the pods, leaves as a line
// of the summary. The control plane and our programs are real ones: a program is killed
// by SIGKILL, paused by SIGSTOP, or has between itself and the API server a proxy that
// breaks what passes there. Nothing here changes what a program does otherwise.
package faults
