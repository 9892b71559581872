package journal

import (
	"crypto/rand"
	"sync"
)

// Journal keeps the last entries. Its methods may be called from any goroutine.
type Journal struct {
	// id tells this journal from another: its entries count from 1.
	id string

	mu sync.Mutex
	// ring has the entries, that of a Seq at Seq modulo its length.
	ring []Entry
	last uint64 // Seq of the newest, 0 for none
	// added is closed when there is another entry.
	added chan struct{}
}

// New returns a journal that keeps the last size entries.
func New(size int) *Journal {
	return &Journal{id: rand.Text(), ring: make([]Entry, size), added: make(chan struct{})}
}

// ID names the journal: another one, as of a program that was restarted, has another.
func (j *Journal) ID() string { return j.id }

// Add appends an entry, and numbers it.
func (j *Journal) Add(e Entry) {
	e = e.bounded()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	e.Seq = j.last
	j.ring[e.Seq%uint64(len(j.ring))] = e
	close(j.added)
	j.added = make(chan struct{})
}

// Since returns the entries after that of a Seq which are kept, the oldest first, and
// what is closed once there are more. lost is how many there were in between that are
// not kept any more. A Seq of the future counts as 0.
func (j *Journal) Since(seq uint64) (entries []Entry, lost uint64, more <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq > j.last {
		seq = 0
	}
	first := seq + 1
	if kept := uint64(len(j.ring)); j.last > kept && first <= j.last-kept {
		lost = j.last - kept + 1 - first
		first += lost
	}
	for s := first; s <= j.last; s++ {
		entries = append(entries, j.ring[s%uint64(len(j.ring))])
	}
	return entries, lost, j.added
}
