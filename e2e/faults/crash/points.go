package crash

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// When is when a program dies of a call.
type When int

// A program lives on, dies before a call is carried out, or after, without the
// answer.
const (
	Never When = iota
	Before
	After
)

// Points are those at which a program dies. Its methods may be called from several
// goroutines.
type Points struct {
	// Every is after how many calls that kill nobody the next one does; 0 for
	// never.
	Every int

	mu sync.Mutex
	// left is how many more kills are allowed.
	left  int
	since int
	seen  map[string]bool
	died  map[string]map[When]bool
	kills int
}

// Allow allows so many kills from now on; 0 stops them.
func (p *Points) Allow(kills int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = kills
}

// Left is how many more kills are allowed.
func (p *Points) Left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
}

// Call takes a call of a sort in a phase.
func (p *Points) Call(phase, sort string) When {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := phase + ": " + sort
	if p.seen == nil {
		p.seen, p.died = map[string]bool{}, map[string]map[When]bool{}
	}
	p.seen[key] = true
	if p.died[key] == nil {
		p.died[key] = map[When]bool{}
	}
	p.since++
	if p.left == 0 {
		return Never
	}
	when := Never
	switch {
	case !p.died[key][Before]:
		when = Before
	case !p.died[key][After]:
		when = After
	case p.Every > 0 && p.since >= p.Every:
		when = Before
		if p.kills%2 == 1 {
			when = After
		}
	default:
		return Never
	}
	p.died[key][when] = true
	p.left, p.since, p.kills = p.left-1, 0, p.kills+1
	return when
}

// Kills is how often it has said that the program dies.
func (p *Points) Kills() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kills
}

// Open are the points that were passed and where the program has not died yet.
func (p *Points) Open() (open []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(p.seen)) {
		for _, when := range []When{Before, After} {
			if !p.died[key][when] {
				open = append(open, fmt.Sprintf("%s (%s)", key, when))
			}
		}
	}
	return open
}

// Points are how many of them the program has died at: each sort of call in each phase
// before and after.
func (p *Points) Points() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, died := range p.died {
		n += len(died)
	}
	return n
}

// Sorts is how many sorts of calls there were, each phase counted apart.
func (p *Points) Sorts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen)
}

// String is a word for it.
func (w When) String() string {
	return [...]string{"never", "before", "after"}[w]
}
