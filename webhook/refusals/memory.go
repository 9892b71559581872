package refusals

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/text"
)

const (
	// firstExclusion is how long one refusal counts, doubling up to maxExclusion.
	firstExclusion = 30 * time.Second
	maxExclusion   = time.Hour
	// quotaExclusion is how long a refusal by a quota counts. The inventory knows
	// quotas itself, once their status is updated.
	quotaExclusion = 2 * time.Second
	// firstVerdict is how long the scheduler's verdict counts, doubling as well.
	// Its cause may end without any device becoming free.
	firstVerdict = 2 * time.Minute
	// maxRemembered bounds the owners, and the groups, that something is known of.
	maxRemembered = 4096
)

// Owner is whose pods a refusal is about: a controller, or of a pod without one
// its name, or what its name is generated from.
type Owner struct {
	Namespace string
	UID       types.UID
	Name      string
	// Connection is set for what a caller reports that may not be the API server: it
	// counts for this connection alone.
	Connection string
}

// anyones is the owner without a connection.
func (o Owner) anyones() Owner {
	o.Connection = ""
	return o
}

// OwnerOf is the owner of a pod; controller is "" for a pod that has none.
func OwnerOf(namespace string, controller types.UID, name, generateName string) Owner {
	namespace = shortened(namespace)
	switch {
	case controller != "":
		return Owner{Namespace: namespace, UID: types.UID(shortened(string(controller)))}
	case name != "":
		return Owner{Namespace: namespace, Name: shortened(name)}
	}
	return Owner{Namespace: namespace, Name: shortened(generateName) + "*"}
}

// shortened is a name, or a digest of one that is longer than the API server accepts:
// it checks a pod's after us, and a controller's UID not at all.
func shortened(name string) string {
	return text.Digested(name, validation.DNS1123SubdomainMaxLength)
}

// Memory is what is known against kinds. Its methods may be called from any goroutine.
type Memory struct {
	now func() time.Time

	mu       sync.Mutex
	owners   *lru.Cache[Owner, map[accel.Kind]exclusion]
	groups   *lru.Cache[string, map[accel.Kind]exclusion]
	verdicts int // groups that something is known of
	// pending are the decisions whose pod has not been seen, by owner; reservedFor
	// is the owner of a reservation.
	pending     map[Owner][]decision
	reservedFor map[string]Owner
	expired     time.Time
}

// exclusion is a refusal or verdict that counts against one kind, until it
// expires.
type exclusion struct {
	message string
	until   time.Time
	times   int
	// usable and nodes are how the kind stood at the scheduler's verdict, which
	// counts no more when there is more of either.
	usable int64
	nodes  int
}

// New returns an empty memory. now is the clock.
func New(now func() time.Time) *Memory {
	m := &Memory{now: now, pending: map[Owner][]decision{}, reservedFor: map[string]Owner{}}
	var err error
	if m.owners, err = lru.New[Owner, map[accel.Kind]exclusion](maxRemembered); err != nil {
		panic(err) // the size is a constant above 0
	}
	if m.groups, err = lru.New[string, map[accel.Kind]exclusion](maxRemembered); err != nil {
		panic(err)
	}
	return m
}

// next is the exclusion that follows x, which may be the zero value.
func (x exclusion) next(message string, first time.Duration, now time.Time) exclusion {
	for range x.times {
		if first *= 2; first >= maxExclusion {
			first = maxExclusion
			break
		}
	}
	return exclusion{message: message, until: now.Add(first), times: x.times + 1}
}

// Denied notes that the API server refuses the pods of this owner with a kind,
// with its message, "" when that is not known.
func (m *Memory) Denied(o Owner, kind accel.Kind, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.exclude(o, kind, message)
}

func (m *Memory) exclude(o Owner, kind accel.Kind, message string) {
	kinds, _ := m.owners.Get(o)
	if kinds == nil {
		kinds = map[accel.Kind]exclusion{}
		m.owners.Add(o, kinds)
	}
	now := m.now()
	if byQuota(message) {
		if kinds[kind].until.Before(now.Add(quotaExclusion)) {
			kinds[kind] = exclusion{message: withoutPodName(message), until: now.Add(quotaExclusion), times: kinds[kind].times}
		}
		return
	}
	kinds[kind] = kinds[kind].next(withoutPodName(message), firstExclusion, now)
}

// Unschedulable notes the scheduler's verdict on a group of pods: it finds no
// node for them on a kind that stands as in c.
func (m *Memory) Unschedulable(group string, c *inventory.Candidate, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kinds, _ := m.groups.Get(group)
	if kinds == nil {
		kinds = map[accel.Kind]exclusion{}
		m.groups.Add(group, kinds)
	}
	x := kinds[c.Kind].next(bounded(message), firstVerdict, m.now())
	x.usable, x.nodes = c.Usable, c.Nodes
	kinds[c.Kind] = x
	m.verdicts = m.groups.Len()
}

// CapacityChanged drops the verdict on a kind of which there is more now than at
// the time of the verdict.
func (m *Memory) CapacityChanged(group string, c *inventory.Candidate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kinds, _ := m.groups.Get(group)
	if x, ok := kinds[c.Kind]; ok && (c.Usable > x.usable || c.Nodes > x.nodes) {
		x.until = time.Time{}
		kinds[c.Kind] = x
	} else if ok && c.Usable < x.usable {
		x.usable = c.Usable // an increase from here is a change again
		kinds[c.Kind] = x
	}
}

// HasVerdicts reports whether there is any verdict: only then is it worth working
// out a pod's group.
func (m *Memory) HasVerdicts() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.verdicts > 0
}

// Refusal is what is known against giving a kind to a pod of an owner and a
// group, nil when nothing is. group may be "".
func (m *Memory) Refusal(o Owner, group string, kind accel.Kind) *inventory.Refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if kinds, ok := m.owners.Get(o); ok {
		if x, ok := kinds[kind]; ok && now.Before(x.until) {
			return &inventory.Refusal{Reason: refusedBy(x.message)}
		}
	}
	if group == "" {
		return nil
	}
	if kinds, ok := m.groups.Get(group); ok {
		if x, ok := kinds[kind]; ok && now.Before(x.until) {
			return &inventory.Refusal{Reason: "the scheduler finds no node for it there: " + x.message, Unschedulable: true}
		}
	}
	return nil
}
