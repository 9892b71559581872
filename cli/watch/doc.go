// Package watch shows something again and again until it is interrupted: in place on a
// terminal, and else below one another, whenever it changes in more than ages and loads.
//
// A function that reads it enters; what it reads leaves to a writer. An error of the
// function, once it has succeeded, is reported once, until it succeeds again.
package watch
