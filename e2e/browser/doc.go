// Package browser drives the Chromium of this machine, without a window, for tests of the
// live page.
//
// A URL enters; what a person would see of it leaves: texts, pictures, what the page wrote
// to its console, and what axe-core finds wrong for people who cannot see, or use no
// mouse.
package browser
