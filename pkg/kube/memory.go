package kube

import (
	"context"
	"runtime/debug"
)

const (
	// listGC is Go's GOGC until the first lists are in. Of what decoding them allocates
	// little stays, and each page of memory that has some of it stays as well: collected
	// often, the garbage makes room for what stays, and so there are fewer such pages.
	listGC = 25
	// longList is from how many objects on it is worth a collection to return what a
	// later list took, such as after a lost connection.
	longList = 1000
)

// listed tells of a list that was consumed whole.
func (f *Feeds) listed() {
	select {
	case f.lists <- struct{}{}:
	default: // that one was is known already
	}
}

// freeMemory returns memory to the system once the first lists are in, and after every
// long one: decoding them takes several times what is kept, and that much is not needed
// again soon.
func (f *Feeds) freeMemory(ctx context.Context) {
	before := debug.SetGCPercent(listGC)
	restore := func() { debug.SetGCPercent(before) }
	if before <= listGC { // no collection, or as many, is what the user wants
		restore()
		restore = func() {}
	}
	for f.Synced() != nil {
		select {
		case <-ctx.Done():
			restore()
			return
		case <-f.lists:
		}
	}
	restore()
	for {
		debug.FreeOSMemory()
		select {
		case <-ctx.Done():
			return
		case <-f.lists:
		}
	}
}
