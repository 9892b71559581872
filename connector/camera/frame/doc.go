// Package frame makes tensors of pictures.
//
// Image files enter, and the input that a model describes; bytes of that shape and
// datatype leave. It opens no connection, and keeps what it made for the next
// camera that shows the same frame.
package frame
