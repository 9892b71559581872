package e2e

import (
	"flag"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// turns has the tests that are ready to run, and how many may at once: as many as
// -parallel says. Package testing would start them in an order of its own, which
// takes several installations of one setup and leaves others idle meanwhile.
var turns struct {
	mu      sync.Mutex
	free    int
	coming  int             // tests that have yet to wait
	busy    map[string]bool // by setup: its tests run one after another
	last    string          // the setup whose test ended last
	waiting []waiting
}

// waiting is a test that is ready; begin is closed when its turn has come.
type waiting struct {
	setup string
	begin chan struct{}
}

// takeTurns has package testing start all parallel tests at once, after which they
// wait for their turns.
func takeTurns() {
	parallel := flag.Lookup("test.parallel").Value
	n, err := strconv.Atoi(parallel.String())
	if err != nil {
		panic(err) // package testing has parsed it
	}
	turns.free, turns.busy = n, map[string]bool{}
	if err := parallel.Set("1000"); err != nil {
		panic(err)
	}
}

// turn makes the test a parallel one and waits until it may use an installation of
// the setup, for its whole time.
func turn(t *testing.T, setup string) {
	t.Helper()
	change := func(by func()) {
		turns.mu.Lock()
		defer turns.mu.Unlock()
		by()
		next()
	}
	change(func() { turns.coming++ })
	t.Parallel() // goes on once every test has come to this line
	w := waiting{setup, make(chan struct{})}
	change(func() {
		turns.coming--
		turns.waiting = append(turns.waiting, w)
	})
	<-w.begin
	began := time.Now()
	t.Cleanup(func() {
		t.Logf("it took %s, less the wait for its turn", time.Since(began).Round(100*time.Millisecond))
		change(func() {
			turns.free++
			turns.last = setup
			delete(turns.busy, setup)
		})
	})
}

// next lets as many tests go on as may, once all are there to choose from. The
// caller holds the lock.
func next() {
	for turns.free > 0 && turns.coming == 0 {
		i := choose(turns.waiting, turns.busy, turns.last)
		if i < 0 {
			return
		}
		turns.free--
		turns.busy[turns.waiting[i].setup] = true
		close(turns.waiting[i].begin)
		turns.waiting = slices.Delete(turns.waiting, i, i+1)
	}
}

// choose returns whose turn is next, -1 for nobody's: that of a test of the setup
// last used, whose installation would else be idle; then of the setup that comes
// first in setups, of which many tests borrow one; then of who came first.
func choose(ready []waiting, busy map[string]bool, last string) int {
	best, bestRank := -1, 0
	for i, w := range ready {
		rank := slices.IndexFunc(setups, func(s setup) bool { return s.name == w.setup })
		switch {
		case busy[w.setup]:
			continue
		case w.setup == last:
			return i
		case rank < 0:
			rank = len(setups)
		}
		if best < 0 || rank < bestRank {
			best, bestRank = i, rank
		}
	}
	return best
}

func TestChoose(t *testing.T) {
	var (
		first  = waiting{setup: setups[0].name}
		second = waiting{setup: setups[1].name}
		own    = waiting{setup: "TestOwn"}
	)
	for name, tc := range map[string]struct {
		ready []waiting
		busy  string
		last  string
		want  int
	}{
		"nobody":                   {want: -1},
		"the longest first":        {[]waiting{own, second, first, first}, "", "", 2},
		"one at a time of each":    {[]waiting{own, first, second}, first.setup, "", 2},
		"nobody else's":            {[]waiting{first}, first.setup, first.setup, -1},
		"the installation at hand": {[]waiting{first, own, second}, "", second.setup, 2},
		"its own ones in turn":     {[]waiting{own, own}, "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := choose(tc.ready, map[string]bool{tc.busy: true}, tc.last); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}
