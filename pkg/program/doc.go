// Package program is the main function that all our programs share: common flags,
// --help and --version, the command healthcheck, the logger, signals and exit codes.
//
// The command line enters, and the program's own Run is called with a context that
// ends on SIGINT and SIGTERM. It knows nothing of what a program does.
package program
