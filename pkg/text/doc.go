// Package text prepares text for people and for memory that is bounded.
//
// A text of any length enters, and one of a stated length leaves. The package
// never looks at what the text says.
package text
