// Package ui serves the live page: one document, its style and its program, all in the
// binary, so that a site without a way out has it too.
//
// GET requests enter, static files leave. They have no data: the program in them asks the
// extender's other pages for that, with the token of whoever looks.
package ui
