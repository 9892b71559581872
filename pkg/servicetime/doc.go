// Package learn estimates how long one run takes from the runs that were seen.
//
// Durations of runs enter, one Estimate leaves: the mean of the latest runs, in
// which none counts for more than a few times their median. It is pure: it
// keeps no state, knows no pods and reads no clock.
//
// Why not the median itself: the API's times are whole seconds. A run of 80 ms
// reads as 0 s most of the time and as 1 s one time in twelve, so that the
// median of many such readings says nothing, while their mean is right. Why not
// the plain mean: one pod that hung for an hour would be felt for hundreds of
// runs. Why not a decaying average: it cannot take back a bad first run, which
// a window forgets as soon as two good ones have come.
package servicetime
