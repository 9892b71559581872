// Package crash decides at which calls a program is killed.
//
// The calls of a program enter in the order of their coming, and what it does
// meanwhile; whether it dies of each, before it is carried out or after, leaves. Every
// sort of call kills once each way in each phase, and beyond that every n-th call. It
// kills nobody itself.
package crash
