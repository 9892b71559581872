// Package installer is the command that installs again what was installed: which one
// that is, the annotations of the objects say.
//
// Annotations enter; a command leaves. It runs none, and asks no cluster.
package installer
