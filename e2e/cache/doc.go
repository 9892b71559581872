// Package cache keeps what tests install into the user's cache, outside the
// checkout and never in the system.
//
// A key that changes with what is installed enters, and a function that installs it
// into a directory; the directory leaves, whole or not at all. It removes nothing.
package cache
