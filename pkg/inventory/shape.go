package inventory

import (
	"cmp"
	"math"
	"slices"
	"time"

	"heteroaccel.io/pkg/resources"
)

// mostTables bounds the tables: 80 KB each with 5,000 nodes, and a few tens of
// nanoseconds whenever a node changes.
const mostTables = 32

// A shape is what many pods have in common for a scheduler: the same needs and
// the same constraints. Pods come in few shapes, one for each template, and so
// what a decision asks of thousands of nodes is kept by shape: the pods that
// wait are counted, and a shape that was asked about has a table of what each
// node has for it, which every change of a node updates. A decision then
// reads sums.
type shape struct {
	key   string
	needs resources.Amounts
	reach *reach
	// waiting is how many pods and reservations of this shape wait.
	waiting int64
	// judged is for how many of them the scheduler found no node.
	judged int64
	// table is nil until a decision asks for it.
	table *table
}

// shape returns the one shape of these needs and constraints.
func (inv *Inventory) shape(needs resources.Amounts, c *Constraints) *shape {
	var buf [256]byte
	key := needs.AppendKey(buf[:0])
	if c != nil {
		key = append(key, c.key...)
	}
	if s := inv.shapes[string(key)]; s != nil {
		return s
	}
	s := &shape{key: string(key), needs: needs, reach: inv.reach(c)}
	s.reach.shapes++
	inv.shapes[s.key] = s
	return s
}

// waits is a pod or a reservation that waits.
type waits struct {
	shape  *shape
	judged bool // the scheduler found no node for it
}

// join counts one more that waits. Who joined must leave.
func (inv *Inventory) join(needs resources.Amounts, c *Constraints, judged bool) waits {
	s := inv.shape(needs, c)
	if judged {
		s.judged++
	}
	if s.waiting++; s.waiting == 1 {
		i, _ := slices.BinarySearchFunc(inv.queue, s, byTurn)
		inv.queue = slices.Insert(inv.queue, i, s)
	}
	return waits{s, judged}
}

// leave undoes a join.
func (inv *Inventory) leave(w waits) {
	inv.gain()
	s := w.shape
	if w.judged {
		s.judged--
	}
	if s.waiting--; s.waiting == 0 {
		i, _ := slices.BinarySearchFunc(inv.queue, s, byTurn)
		inv.queue = slices.Delete(inv.queue, i, i+1)
		inv.forget(s)
	}
}

// byTurn orders claims: those tied to certain nodes first, the rest by what is
// the same however they came, so that the same state gives the same answer.
func byTurn(a, b *shape) int {
	if tied := a.reach.tied(); tied != b.reach.tied() {
		if tied {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.key, b.key)
}

// forget drops a shape that is of no more use.
func (inv *Inventory) forget(s *shape) {
	if s.waiting > 0 || s.table != nil {
		return
	}
	delete(inv.shapes, s.key)
	if s.reach.shapes--; s.reach.shapes == 0 {
		delete(inv.reaches, s.reach.key())
	}
}

// table returns the table of a shape. The one that was not asked for the
// longest gives way to a new one.
func (inv *Inventory) table(s *shape) *table {
	inv.asked++
	if s.table != nil {
		s.table.asked = inv.asked
		return s.table
	}
	if len(inv.tabled) >= mostTables {
		oldest := slices.MinFunc(inv.tabled, func(a, b *shape) int { return cmp.Compare(a.table.asked, b.table.asked) })
		inv.tabled = slices.DeleteFunc(inv.tabled, func(o *shape) bool { return o == oldest })
		oldest.table = nil
		inv.forget(oldest)
	}
	s.table = &table{asked: inv.asked, rooms: make([]room, len(inv.places))}
	inv.tabled = append(inv.tabled, s)
	for i, n := range inv.places {
		s.table.put(i, s.room(n))
	}
	now := inv.opts.Now()
	s.table.since, s.table.full, s.table.begun, s.table.rose = now, s.table.usable == 0, now, now
	return s.table
}

// tableNode takes a node's change, or with nil its leaving, into all tables.
func (inv *Inventory) tableNode(place int, n *Node) {
	if len(inv.tabled) == 0 {
		return
	}
	now := inv.opts.Now()
	for _, s := range inv.tabled {
		t := s.table
		had := t.usable
		t.put(place, s.room(n))
		if t.usable > had {
			t.rose = now
			inv.gain()
		}
		if full := t.usable == 0; full != t.full {
			t.turn(full, now)
		}
	}
}

// room is what a node has for pods of one shape; the zero value for a node
// that they cannot run on. Pods that hold a node's devices are listed in its
// Holders.
type room struct {
	// total and slots are Node.Total and Node.Slots.
	total, slots int32
	// ending is how many slots are held by pods that end by themselves.
	ending int32
	stale  bool
}

// room judges a node, or nil.
func (s *shape) room(n *Node) room {
	if n == nil || !s.reach.allowed.has(n.place) {
		return room{}
	}
	total := n.FitsEmpty(s.needs)
	if total == 0 {
		return room{}
	}
	r := room{total: small(total), slots: small(n.Fits(s.needs, n.fresh)), stale: !n.fresh}
	var ending int64
	for _, p := range n.Holders {
		if p.Run.Ends {
			ending += share(p.Needs, s.needs)
		}
	}
	r.ending = small(min(ending, total))
	return r
}

func small(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// table has a room for every node, by place, and their sums.
type table struct {
	asked uint64
	rooms []room
	// here, free and frees are where there is a room, where it has slots, and
	// where some are held by pods that end.
	here, free, frees places

	nodes, stale          int
	total, usable, ending int64
	// freeing is how many places are in frees.
	freeing int

	// full is whether usable is 0, since when; begun is when it became so for
	// the first time without a pause since.
	full         bool
	since, begun time.Time
	// rose is when slots last became usable, or the table was made.
	rose time.Time
}

// pause is for how long slots must stay free to count as free at all: between
// the end of a pod and the next one's binding they are, and mean nothing.
const pause = 2 * time.Second

// turn notes that the last slot was taken, or the first one freed.
func (t *table) turn(full bool, now time.Time) {
	if full && now.Sub(t.since) > pause {
		t.begun = now
	}
	t.full, t.since = full, now
}

// fullFor is how long no slot has been free, pauses not counted.
func (t *table) fullFor(now time.Time) time.Duration {
	if !t.full && now.Sub(t.since) > pause {
		return 0
	}
	return max(0, now.Sub(t.begun))
}

func (t *table) put(place int, r room) {
	if place >= len(t.rooms) {
		t.rooms = append(t.rooms, make([]room, place+1-len(t.rooms))...)
	}
	if old := t.rooms[place]; old != r {
		t.add(old, -1)
		t.add(r, 1)
		t.rooms[place] = r
		t.here.set(place, r.total > 0)
		t.free.set(place, r.slots > 0)
		t.frees.set(place, r.ending > 0)
	}
}

func (t *table) add(r room, sign int) {
	if r.total == 0 {
		return
	}
	t.nodes += sign
	if r.stale {
		t.stale += sign
	}
	if r.ending > 0 {
		t.freeing += sign
	}
	t.total += int64(sign) * int64(r.total)
	t.usable += int64(sign) * int64(r.slots)
	t.ending += int64(sign) * int64(r.ending)
}
