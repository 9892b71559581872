package refusals

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

const (
	// firstBar is how long one refusal counts, doubling up to longestBar.
	firstBar   = 30 * time.Second
	longestBar = time.Hour
	// overQuota is how long a refusal by a quota counts. The inventory knows
	// quotas itself, once their own count has come.
	overQuota = 2 * time.Second
	// firstVerdict is how long the scheduler's verdict counts, doubling as well.
	// What stood in the pod's way may go without any device becoming free.
	firstVerdict = 2 * time.Minute
	// remembered bounds of how many owners, and of how many classes, something
	// is known.
	remembered = 4096
)

// Owner is whose pods a refusal is about: a controller, or of a pod without one
// its name, or what its name is generated from.
type Owner struct {
	Namespace string
	UID       types.UID
	Name      string
}

// OwnerOf is the owner of a pod; controller is "" for a pod that has none.
func OwnerOf(namespace string, controller types.UID, name, generateName string) Owner {
	switch {
	case controller != "":
		return Owner{Namespace: namespace, UID: controller}
	case name != "":
		return Owner{Namespace: namespace, Name: name}
	}
	return Owner{Namespace: namespace, Name: generateName + "*"}
}

// Memory is what was said. Its methods may be called from any goroutine.
type Memory struct {
	now func() time.Time

	mu       sync.Mutex
	owners   *lru.Cache[Owner, map[accel.Kind]bar]
	classes  *lru.Cache[string, map[accel.Kind]bar]
	verdicts int // classes that something is known of
	// pending are the decisions whose pod has not come, by owner; carriers
	// finds the owner of a reservation.
	pending  map[Owner][]decision
	carriers map[string]Owner
	expired  time.Time
}

// bar is what is known against one kind.
type bar struct {
	words string
	until time.Time
	times int
	// usable and nodes are how the kind stood when the scheduler spoke: its
	// verdict is looked at anew when there is more.
	usable int64
	nodes  int
}

// New returns an empty memory. now is the clock.
func New(now func() time.Time) *Memory {
	m := &Memory{now: now, pending: map[Owner][]decision{}, carriers: map[string]Owner{}}
	var err error
	if m.owners, err = lru.New[Owner, map[accel.Kind]bar](remembered); err != nil {
		panic(err) // the size is a constant above 0
	}
	if m.classes, err = lru.New[string, map[accel.Kind]bar](remembered); err != nil {
		panic(err)
	}
	return m
}

// next is a bar that follows on another, which may be the zero value.
func (b bar) next(words string, first time.Duration, now time.Time) bar {
	for range b.times {
		if first *= 2; first >= longestBar {
			first = longestBar
			break
		}
	}
	return bar{words: words, until: now.Add(first), times: b.times + 1}
}

// Denied notes that the API server lets in no pod of this owner with a kind, in
// its own words; "" when they are not known.
func (m *Memory) Denied(o Owner, kind accel.Kind, words string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse(o, kind, words)
}

func (m *Memory) refuse(o Owner, kind accel.Kind, words string) {
	kinds, _ := m.owners.Get(o)
	if kinds == nil {
		kinds = map[accel.Kind]bar{}
		m.owners.Add(o, kinds)
	}
	now := m.now()
	if overQuotas(words) {
		if kinds[kind].until.Before(now.Add(overQuota)) {
			kinds[kind] = bar{words: tidy(words), until: now.Add(overQuota), times: kinds[kind].times}
		}
		return
	}
	kinds[kind] = kinds[kind].next(tidy(words), firstBar, now)
}

// Unschedulable notes the scheduler's verdict on a class of pods: it finds no
// node for them on a kind that stands as in c.
func (m *Memory) Unschedulable(class string, c *inventory.Candidate, words string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kinds, _ := m.classes.Get(class)
	if kinds == nil {
		kinds = map[accel.Kind]bar{}
		m.classes.Add(class, kinds)
	}
	b := kinds[c.Kind].next(bounded(words), firstVerdict, m.now())
	b.usable, b.nodes = c.Usable, c.Nodes
	kinds[c.Kind] = b
	m.verdicts = m.classes.Len()
}

// CapacityChanged drops the verdict on a kind of which there is more now than when the
// scheduler spoke.
func (m *Memory) CapacityChanged(class string, c *inventory.Candidate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kinds, _ := m.classes.Get(class)
	if b, ok := kinds[c.Kind]; ok && (c.Usable > b.usable || c.Nodes > b.nodes) {
		b.until = time.Time{}
		kinds[c.Kind] = b
	} else if ok && c.Usable < b.usable {
		b.usable = c.Usable // what comes back is a change again
		kinds[c.Kind] = b
	}
}

// HasVerdicts reports whether the scheduler has said anything at all: only then
// is it worth working out a pod's class.
func (m *Memory) HasVerdicts() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.verdicts > 0
}

// Refusal is what is known against giving a kind to a pod of an owner and a
// class, nil when nothing is. class may be "".
func (m *Memory) Refusal(o Owner, class string, kind accel.Kind) *inventory.Refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if kinds, ok := m.owners.Get(o); ok {
		if b, ok := kinds[kind]; ok && now.Before(b.until) {
			return &inventory.Refusal{Reason: refusedBy(b.words)}
		}
	}
	if class == "" {
		return nil
	}
	if kinds, ok := m.classes.Get(class); ok {
		if b, ok := kinds[kind]; ok && now.Before(b.until) {
			return &inventory.Refusal{Reason: "the scheduler finds no node for it there: " + b.words, Unschedulable: true}
		}
	}
	return nil
}
