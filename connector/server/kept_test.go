package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"heteroaccel.io/connector/controller"
	"heteroaccel.io/connector/session"
)

// kept is sessions that nobody serves until serve is called. It stands for the
// API server.
type kept struct {
	mu      sync.Mutex
	views   map[string]controller.View
	changed map[string]chan struct{}
	created chan struct{} // one for each session
	n       int
}

func newKept() *kept {
	return &kept{views: map[string]controller.View{}, changed: map[string]chan struct{}{}, created: make(chan struct{}, 1000)}
}

func (k *kept) Create(_ context.Context, s session.Session) (controller.View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.n++
	s.ID, s.Created, s.Renewed = fmt.Sprintf("%026d", k.n), time.Unix(1e9, 0), time.Unix(1e9, 0)
	s.ID = strings.NewReplacer("0", "a", "1", "b", "8", "c", "9", "d").Replace(s.ID)
	v := controller.View{Session: s, Position: 1, Waiting: 1, ExpectedWait: 3 * time.Second}
	k.views[s.ID] = v
	k.created <- struct{}{}
	return v, nil
}

// serve gives every session a server.
func (k *kept) serve() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, v := range k.views {
		v.Server = session.Server{Name: "face-x", Phase: session.Ready, Node: "edge-1", Kind: "GPU", Address: "10.0.0.7:8080", Reason: "GPU is free"}
		v.Position, v.Waiting = 0, 0
		k.views[id] = v
		k.tell(id)
	}
}

func (k *kept) tell(id string) {
	if ch := k.changed[id]; ch != nil {
		close(ch)
		delete(k.changed, id)
	}
}

func (k *kept) Get(client, id string) (controller.View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v, ok := k.views[id]; ok && v.Session.Client == client {
		return v, nil
	}
	return controller.View{}, controller.ErrNotFound
}

func (k *kept) List(client string) (own []controller.View) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range k.views {
		if v.Session.Client == client {
			own = append(own, v)
		}
	}
	return own
}

func (k *kept) Renew(client, id string) (controller.View, error) { return k.Get(client, id) }

func (k *kept) End(_ context.Context, client, id string) error {
	if _, err := k.Get(client, id); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.views, id)
	k.tell(id)
	return nil
}

func (k *kept) Changed(id string) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changed[id] == nil {
		k.changed[id] = make(chan struct{})
	}
	return k.changed[id]
}

func (k *kept) Count(client string) int { return len(k.List(client)) }
