package cameratest

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"heteroaccel.io/connector/controller"
	"heteroaccel.io/connector/server"
	"heteroaccel.io/connector/session"
)

// kept is sessions in memory. The address is that of all of them, "" while they
// wait.
type kept struct {
	server.Sessions // what the API may ask besides

	mu      sync.Mutex
	address string
	views   map[string]controller.View
	changed map[string]chan struct{}
	// Calls since the start.
	created, renewed, ended int
}

func newKept() *kept {
	return &kept{views: map[string]controller.View{}, changed: map[string]chan struct{}{}}
}

// change changes every session and tells who watches. The caller holds no lock.
func (k *kept) change(edit func(*controller.View)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, v := range k.views {
		edit(&v)
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

// forget ends every session behind the cameras' back.
func (k *kept) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.views {
		delete(k.views, id)
		k.tell(id)
	}
}

func serverAt(address string) session.Server {
	if address == "" {
		return session.Server{}
	}
	return session.Server{Name: "face", Phase: session.Ready, Node: "edge-1", Kind: "GPU", Address: address, Reason: "GPU is free"}
}

func (k *kept) Create(_ context.Context, s session.Session) (controller.View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.ID, s.Created, s.Renewed = strings.ToLower(rand.Text()), time.Now(), time.Now()
	v := controller.View{Session: s, Server: serverAt(k.address)}
	if k.address == "" {
		v.Position, v.Waiting = len(k.views)+1, len(k.views)+1
	}
	k.views[s.ID] = v
	k.created++
	return v, nil
}

func (k *kept) Get(client, id string) (controller.View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v, ok := k.views[id]; ok && v.Session.Client == client {
		return v, nil
	}
	return controller.View{}, controller.ErrNotFound
}

func (k *kept) List(string) []controller.View {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Values(k.views))
}

func (k *kept) Renew(client, id string) (controller.View, error) {
	v, err := k.Get(client, id)
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.renewed++
	}
	return v, err
}

func (k *kept) End(_ context.Context, client, id string) error {
	if _, err := k.Get(client, id); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.views, id)
	k.tell(id)
	k.ended++
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

func (k *kept) Count(string) int { return len(k.List("")) }
