//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/faults/apiproxy"
	"heteroaccel.io/e2e/faults/crash"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
)

// Phases of a program's life, by which its calls are told apart.
const (
	starting = "start"
	serving  = "load"
	dead     = "dead"
)

// victim is a program that is started again whenever it is killed, as the kubelet
// does.
type victim struct {
	x        *site
	name     string
	start    func(context.Context) error
	readyz   string
	points   *crash.Points
	phase    atomic.Value
	restarts atomic.Int64
	killing  sync.Mutex
}

// victim keeps a program alive until the test ends.
func (x *site) victim(t *testing.T, name, readyz string, start func(context.Context) error) *victim {
	v := &victim{x: x, name: name, start: start, readyz: readyz, points: &crash.Points{Every: 40}}
	v.phase.Store(serving)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); v.keep(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return v
}

// keep starts the program whenever it has ended.
func (v *victim) keep(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-v.x.Process(v.name).Done():
		case <-ctx.Done():
			return
		}
		v.phase.Store(starting)
		v.restarts.Add(1)
		// It may be killed while it starts: then it has ended, and is started again.
		_ = v.start(ctx)
		p := v.x.Process(v.name)
		ready := func(ctx context.Context) error {
			_, err := stack.Get(ctx, v.readyz)
			return err
		}
		for ctx.Err() == nil && !p.Ended() && v.phase.Load() == starting {
			soon, cancel := context.WithTimeout(ctx, time.Second)
			if poll.Until(soon, ready) == nil {
				v.phase.CompareAndSwap(starting, serving)
			}
			cancel()
		}
	}
}

// kill ends a process of the program as a crash would, unless another call of its has
// done so meanwhile.
func (v *victim) kill(p *cluster.Process) {
	v.killing.Lock()
	defer v.killing.Unlock()
	if p.Ended() {
		return
	}
	v.phase.Store(dead)
	p.Kill()
}

// at takes a call of a sort: it is carried out, unless the program is killed before, or
// it is killed after. The error is apiproxy.ErrGone where it gets no answer.
func (v *victim) at(ctx context.Context, sort string, carryOut func() error) error {
	phase, p := v.phase.Load().(string), v.x.Process(v.name)
	if phase == dead || ctx.Err() != nil { // it did not come from one that lives
		return apiproxy.ErrGone
	}
	switch v.points.Call(phase, sort) {
	case crash.Before:
		v.kill(p)
		return apiproxy.ErrGone
	case crash.After:
		err := carryOut()
		v.kill(p)
		return errors.Join(apiproxy.ErrGone, err)
	}
	return carryOut()
}

// dies is the fault of a program that is killed at its calls.
func (v *victim) dies(ctx context.Context, c apiproxy.Call, send apiproxy.Send) (resp *http.Response, err error) {
	err = v.at(ctx, c.String(), func() (err error) { resp, err = send(); return err })
	if err != nil && resp != nil {
		resp.Body.Close()
		resp = nil
	}
	return resp, err
}

// alive waits until the program serves.
func (v *victim) alive(t *testing.T) {
	t.Helper()
	eventually(t, func(context.Context) error {
		if phase := v.phase.Load(); phase != serving {
			return fmt.Errorf("the %s is in phase %s", v.name, phase)
		}
		return nil
	})
}
