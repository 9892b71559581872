// Package check judges an installation: whether each part of it works, and what
// fixes it where it does not.
//
// What was read of a cluster enters, each with the error of reading it; lines leave,
// one for each check. It asks nobody and changes nothing: package gather does.
package check
