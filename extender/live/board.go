package live

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
)

const (
	// looking is how often the state is read while somebody looks, idling while nobody
	// does, and spacing how often a point of it is kept.
	looking = time.Second
	idling  = 10 * time.Second
	spacing = 10 * time.Second
	// whole is after how long every node is read anew, also if its record is the same:
	// another source may report on it, and profiles say what its resources are for.
	whole = 10 * time.Second
)

// Config is what a Board needs, all of it.
type Config struct {
	Inventory *inventory.Inventory
	Decisions *journal.Journal
	// Node is a node as it is shown.
	Node func(n *inventory.Node) Node
	// Wait is how long a pod is expected to wait for its kind that has so many before it;
	// ok is false if it is not expected to start.
	Wait func(p *inventory.Pod, ahead int64) (wait time.Duration, ok bool)
	// Problems are sentences on what is not known or wrong.
	Problems func() []string
}

// Board is the state that the live page shows. Use New.
type Board struct {
	Config
	id    string
	began time.Time

	// looked is signalled when somebody begins to look.
	looked chan struct{}
	// reads are those who wait until the state is read, and readAt when it last was.
	reads  chan chan struct{}
	readAt time.Time

	mu sync.RWMutex
	// change counts the times at which something was found to have changed, from 1: a
	// viewer who has been sent nothing has seen 0.
	change uint64
	// changed is closed when it does, and closed once the board is.
	changed chan struct{}
	closed  bool
	viewers int
	nodes   table[Node]
	pods    table[Pod]
	// kinds and problems changed last at kindsAt and problemsAt.
	kinds               []Kind
	problems            []string
	kindsAt, problemsAt uint64
	history             history

	// What follows is the reader's alone.
	read      map[string]*inventory.Node // the record that a row was made of
	readPods  map[string]*inventory.Pod
	fresh     map[string]bool
	readWhole time.Time
	lastPoint time.Time
	waits     waits
	decided   uint64 // the last decision that was counted
	estimates estimates
	loads     loads
}

// New returns a board; Run keeps it up to date.
func New(c Config) *Board {
	return &Board{
		Config: c, id: rand.Text(), began: c.Inventory.Now(), looked: make(chan struct{}, 1), reads: make(chan chan struct{}), change: 1, changed: make(chan struct{}),
		kinds: []Kind{}, // a point's are never null
		nodes: newTable[Node](), pods: newTable[Pod](), read: map[string]*inventory.Node{}, fresh: map[string]bool{},
		history: newHistory(), estimates: newEstimates(), loads: loads{},
	}
}

// Run reads the state until ctx ends. Then all streams end.
func (b *Board) Run(ctx context.Context) error {
	defer b.end()
	var waiting chan struct{}
	for {
		b.update()
		if waiting != nil {
			close(waiting)
			waiting = nil
		}
		every := idling
		if b.watched() {
			every = looking
		}
		timer := time.NewTimer(every)
		select {
		case <-timer.C:
		case <-b.looked:
		case waiting = <-b.reads:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

func (b *Board) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	close(b.changed)
}

func (b *Board) watched() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.viewers > 0
}

// update reads the state, and tells the viewers if it has changed.
func (b *Board) update() {
	now := b.Inventory.Now()
	nodes, pods := b.Inventory.Nodes(), b.Inventory.Managed()
	rows, podRows := b.nodeRows(nodes, now), b.podRows(pods, now)
	problems := b.Problems()
	b.waits.see(pods)
	before := b.decided
	recreated, denied := b.countDecisions()

	b.mu.Lock()
	defer b.mu.Unlock()
	b.readAt = now
	change := b.change + 1
	news := b.nodes.update(rows, func(name string) bool { return b.read[name] != nil }, change)
	news = b.pods.update(podRows, func(key string) bool { return b.readPods[key] != nil }, change) || news
	if kinds := count(b.nodes.rows, b.pods.rows); !slices.Equal(kinds, b.kinds) {
		b.kinds, b.kindsAt, news = kinds, change, true
	}
	if !slices.Equal(problems, b.problems) {
		b.problems, b.problemsAt, news = problems, change, true
	}
	b.history.held(rows, now)
	b.history.decided(recreated, denied)
	if now.Sub(b.lastPoint) >= spacing {
		b.lastPoint, news = now, true
		b.history.add(now, b.kinds, b.waits.take())
	}
	if !news && b.decided == before {
		return
	}
	b.change = change
	close(b.changed)
	b.changed = make(chan struct{})
}

// nodeRows are the rows of the nodes that may have changed. It notes which there are.
func (b *Board) nodeRows(nodes []*inventory.Node, now time.Time) map[string]Node {
	all := now.Sub(b.readWhole) >= whole
	if all {
		b.readWhole = now
	}
	rows, read := map[string]Node{}, make(map[string]*inventory.Node, len(nodes))
	for _, n := range nodes {
		fresh := n.Fresh(now, b.Inventory.MaxTelemetryAge())
		read[n.Name] = n
		if all || b.read[n.Name] != n || b.fresh[n.Name] != fresh {
			row := b.Node(n)
			if b.loads.take(&row, len(nodes), now) {
				rows[n.Name] = row
			}
		}
		b.fresh[n.Name] = fresh
	}
	for name := range b.fresh {
		if read[name] == nil {
			delete(b.fresh, name)
			delete(b.loads, name)
		}
	}
	b.read = read
	return rows
}

// podRows are the rows of the pods that have not ended, as far as they may have changed.
// It notes which there are.
func (b *Board) podRows(pods []*inventory.Pod, now time.Time) map[string]Pod {
	rows, read := map[string]Pod{}, make(map[string]*inventory.Pod, len(pods))
	queues := map[accel.Kind][]*inventory.Pod{}
	for _, p := range pods {
		if p.Done {
			continue
		}
		key := p.Key()
		read[key] = p
		if p.Node != "" && b.readPods[key] == p {
			continue
		}
		r := Pod{Namespace: p.Namespace, Name: p.Name, Inference: p.Managed.Inference, Kind: p.Managed.Kind, Node: p.Node, Priority: p.Managed.Priority}
		if p.Run != nil {
			r.Phase = string(p.Run.Phase)
			if !p.Run.Created.IsZero() {
				created := p.Run.Created.UTC()
				r.Created = &created
			}
		}
		if p.Node == "" {
			r.Reason, r.Verdict = p.Managed.Reason, p.Verdict
			if !p.Deleted {
				queues[p.Managed.Kind] = append(queues[p.Managed.Kind], p)
			}
		}
		rows[key] = r
	}
	b.readPods = read
	b.estimates.begin(now)
	for _, queue := range queues {
		slices.SortStableFunc(queue, first)
		for i, p := range queue {
			r := rows[p.Key()]
			r.Waits = true
			r.Starts = b.estimates.of(p, i, now, b.Wait)
			rows[p.Key()] = r
		}
	}
	return rows
}

// first orders the pods of a queue as kube-scheduler does.
func first(a, b *inventory.Pod) int {
	if a.Run == nil || b.Run == nil {
		return 0
	}
	return cmp.Or(cmp.Compare(b.Managed.Priority, a.Managed.Priority), a.Run.Created.Compare(b.Run.Created), cmp.Compare(a.Key(), b.Key()))
}

// countDecisions counts what was decided since the last time.
func (b *Board) countDecisions() (recreated, denied int) {
	entries, _, _ := b.Decisions.Since(b.decided)
	for _, e := range entries {
		b.decided = e.Seq
		switch e.What {
		case journal.Recreated, journal.Moved:
			recreated++
		case journal.Denied:
			denied++
		}
	}
	return recreated, denied
}

// view counts a viewer, and has the state read at once.
func (b *Board) view() (end func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, fmt.Errorf("the extender is ending: try again in a moment")
	case b.viewers >= MaxViewers:
		return nil, fmt.Errorf("%d look at the page already, and no more can: close one, or read the other pages", MaxViewers)
	}
	b.viewers++
	select {
	case b.looked <- struct{}{}:
	default:
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.viewers--
	}, nil
}
