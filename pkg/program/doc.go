// Package program is the frame that every program of ours runs in: flags that
// are the same everywhere, --help and --version, the logger, signals and exit
// codes.
//
// The command line enters; the program's own Run is called with a context that
// ends on SIGINT and SIGTERM. It knows nothing of what a program does.
package program
