// Package browse serves the extender's pages to a browser of this computer, through
// whatever reaches the extender from here.
package browse
