// Package conventions holds no code: its tests are the rules of the tree.
//
// The tree's own files enter; a failure leaves for every place that breaks a
// rule: who may import whom, how long a file may be, which words are used, what
// the pages in docs must agree with. It runs nothing but the programs' --help.
package conventions

//go:generate go test -run ^TestFlagsPage$ -count 1 . -update
