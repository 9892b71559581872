// Package servicetime estimates how long one run of an inference takes on each
// kind of accelerator.
//
// Durations of finished runs enter, and what a profile states: hints, relative
// speeds, an order. An Estimate of each kind leaves, and from those of all kinds
// the time to expect on each, with the Basis it rests on. It is pure: it keeps no
// state, knows no pods and reads no clock. Runs are collected by webhook/learning
// and stored in the status of their profile by pkg/profile.
//
// Runs of one namespace make an Estimate, those of all namespaces a Measured, whose
// time is the median of theirs: what one namespace reports moves it only within
// stated bounds.
//
// An estimate is the mean of the latest runs, in which none counts for more than
// a few times their median. The median itself would not do: the API's times are
// whole seconds, so a run of 80 ms reads as 0 s most of the time and as 1 s one
// time in twelve. The median of many such readings says nothing, while their mean
// is right. In a plain mean, one pod that hung for an hour would be felt for
// hundreds of runs. A decaying average cannot take back a bad first run, which a
// window forgets as soon as two good ones follow.
package servicetime
