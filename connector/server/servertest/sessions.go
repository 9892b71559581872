package servertest

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"heteroaccel.io/connector/controller"
	"heteroaccel.io/connector/session"
)

// Sessions are sessions in memory, which wait until Serve is called. Nothing
// expires.
type Sessions struct {
	// Created gets one for each session; nobody need take it.
	Created chan struct{}

	mu      sync.Mutex
	address string // of the server of all of them, "" while they wait
	views   map[string]controller.View
	changed map[string]chan struct{}
	calls   Calls
}

// Calls counts what clients did.
type Calls struct{ Created, Renewed, Ended int }

// New returns no sessions yet.
func New() *Sessions {
	return &Sessions{Created: make(chan struct{}, 1000), views: map[string]controller.View{}, changed: map[string]chan struct{}{}}
}

// Serve gives every session, now and later, the server at an address, HOST:PORT.
func (k *Sessions) Serve(address string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.address = address
	for id, v := range k.views {
		if v.Server.Address != "" && v.Server.Address != address {
			v.Session.Moves++
		}
		v.Server, v.Position, v.Waiting, v.ExpectedWait = serverAt(address), 0, 0, 0
		k.views[id] = v
		k.tell(id)
	}
}

// Forget ends every session, as one that was not renewed.
func (k *Sessions) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.views {
		delete(k.views, id)
		k.tell(id)
	}
}

// Calls returns what clients did since the start.
func (k *Sessions) Calls() Calls {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.calls
}

// Len is how many sessions there are.
func (k *Sessions) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.views)
}

func serverAt(address string) session.Server {
	return session.Server{Name: "face-x", Phase: session.Ready, Node: "edge-1", Kind: "GPU", Address: address, Protocol: "http", Reason: "GPU is free"}
}

// tell wakes who watches a session. The caller holds the lock.
func (k *Sessions) tell(id string) {
	if ch := k.changed[id]; ch != nil {
		close(ch)
		delete(k.changed, id)
	}
}

// Create implements server.Sessions, as do the others below.
func (k *Sessions) Create(_ context.Context, s session.Session) (controller.View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	s.ID, s.Created, s.Renewed = strings.ToLower(rand.Text()), now, now
	v := controller.View{Session: s}
	if k.address == "" {
		v.Position, v.Waiting, v.ExpectedWait = len(k.views)+1, len(k.views)+1, 3*time.Second
	} else {
		v.Server = serverAt(k.address)
	}
	k.views[s.ID] = v
	k.calls.Created++
	select {
	case k.Created <- struct{}{}:
	default:
	}
	return v, nil
}

// Get returns a session of a client.
func (k *Sessions) Get(client, id string) (controller.View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v, ok := k.views[id]; ok && v.Session.Client == client {
		return v, nil
	}
	return controller.View{}, controller.ErrNotFound
}

// List returns those of a client, in no order.
func (k *Sessions) List(client string) (own []controller.View) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range k.views {
		if v.Session.Client == client {
			own = append(own, v)
		}
	}
	return own
}

// Renew counts a renewal.
func (k *Sessions) Renew(client, id string) (controller.View, error) {
	v, err := k.Get(client, id)
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.calls.Renewed++
	}
	return v, err
}

// End ends a session.
func (k *Sessions) End(_ context.Context, client, id string) error {
	if _, err := k.Get(client, id); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.views, id)
	k.tell(id)
	k.calls.Ended++
	return nil
}

// Changed returns a channel that is closed at the next change of a session.
func (k *Sessions) Changed(id string) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changed[id] == nil {
		k.changed[id] = make(chan struct{})
	}
	return k.changed[id]
}

// Count is how many sessions a client has.
func (k *Sessions) Count(client string) int { return len(k.List(client)) }
