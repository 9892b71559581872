package session

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var faces = Pool{Inference: "face-recognition", Accelerator: "any"}

func waits(id string, after int, change ...func(*Session)) *Session {
	s := &Session{ID: id, Client: "camera", Pool: faces, TTL: time.Minute, Created: start.Add(time.Duration(after) * time.Second), Renewed: start}
	for _, c := range change {
		c(s)
	}
	return s
}

func servedBy(server string) func(*Session) { return func(s *Session) { s.Server = server } }
func urgently(s *Session)                   { s.Priority = 1 }

func server(name string, phase Phase, change ...func(*Server)) *Server {
	v := &Server{
		Name: name, Pool: faces, Phase: phase, Created: start, UID: "u-" + name, Version: "1",
		Reach: ReachPodIP, PodIP: "10.0.0.1", HostIP: "192.0.2.1", Port: 8080, Node: "edge-1",
	}
	for _, c := range change {
		c(v)
	}
	return v
}

func idle(seconds int) func(*Server) {
	return func(v *Server) { v.Idle = start.Add(-time.Duration(seconds) * time.Second) }
}

func unready(seconds int) func(*Server) {
	return func(v *Server) { v.Unready = start.Add(-time.Duration(seconds) * time.Second) }
}

func created(after int) func(*Server) {
	return func(v *Server) { v.Created = start.Add(time.Duration(after) * time.Second) }
}

// done is a plan by names.
type done struct {
	Assign                      map[string]string
	Requeue, Delete, Idle, Busy []string
	Expose, Withdraw            []string
	Attach, Detach              []string
	Create                      int
	Again                       time.Duration // after start; 0 for never
}

func doneOf(p Plan) done {
	d := done{Create: p.Create}
	if len(p.Assign) > 0 {
		d.Assign = p.Assign
	}
	for _, s := range p.Requeue {
		d.Requeue = append(d.Requeue, s.ID)
	}
	name := func(servers []*Server) (names []string) {
		for _, v := range servers {
			names = append(names, v.Name)
		}
		slices.Sort(names)
		return names
	}
	d.Delete, d.Idle, d.Busy, d.Expose, d.Attach = name(p.Delete), name(p.Idle), name(p.Busy), name(p.Expose), name(p.Attach)
	for _, r := range p.Detach {
		d.Detach = append(d.Detach, r.Server)
	}
	for _, s := range p.Withdraw {
		d.Withdraw = append(d.Withdraw, s.Server)
	}
	if !p.Again.IsZero() {
		d.Again = p.Again.Sub(start)
	}
	return d
}

func TestPlan(t *testing.T) {
	tests := map[string]struct {
		per      int // sessions a server; 1 unless it says otherwise
		sessions []*Session
		servers  []*Server
		want     done
	}{
		"nothing":            {want: done{}},
		"the first session":  {sessions: []*Session{waits("a", 0)}, want: done{Create: 1}},
		"a server is coming": {sessions: []*Session{waits("a", 0)}, servers: []*Server{server("x", Waiting)}, want: done{}},
		"and for another": {
			sessions: []*Session{waits("a", 0), waits("b", 1)}, servers: []*Server{server("x", Starting)}, want: done{Create: 1},
		},
		"a server is ready": {
			sessions: []*Session{waits("a", 0)}, servers: []*Server{server("x", Ready)}, want: done{Assign: map[string]string{"a": "x"}},
		},
		"who came first gets it": {
			sessions: []*Session{waits("b", 1), waits("a", 0)}, servers: []*Server{server("x", Ready), server("y", Waiting)},
			want: done{Assign: map[string]string{"a": "x"}},
		},
		"who is more important gets it": {
			sessions: []*Session{waits("a", 0), waits("b", 1, urgently)}, servers: []*Server{server("x", Ready), server("y", Waiting)},
			want: done{Assign: map[string]string{"b": "x"}},
		},
		"three share": {
			per: 3, sessions: []*Session{waits("a", 0, servedBy("x")), waits("b", 1), waits("c", 2), waits("d", 3)}, servers: []*Server{server("x", Ready)},
			want: done{Assign: map[string]string{"b": "x", "c": "x"}, Create: 1},
		},
		"the fuller one first": {
			per: 2, sessions: []*Session{waits("a", 0, servedBy("y")), waits("b", 1)}, servers: []*Server{server("x", Ready, idle(1)), server("y", Ready)},
			want: done{Assign: map[string]string{"b": "y"}, Again: 59 * time.Second},
		},
		"its server is gone": {
			sessions: []*Session{waits("a", 0, servedBy("x"))}, servers: []*Server{server("x", Gone)},
			want: done{Requeue: []string{"a"}, Create: 1},
		},
		"its server is not there": {
			sessions: []*Session{waits("a", 0, servedBy("x"))}, want: done{Requeue: []string{"a"}, Create: 1},
		},
		"its server is unready for a moment": {
			sessions: []*Session{waits("a", 0, servedBy("x"))}, servers: []*Server{server("x", Starting, unready(14))}, want: done{Again: time.Second},
		},
		"its server does not come back": {
			sessions: []*Session{waits("a", 0, servedBy("x"))}, servers: []*Server{server("x", Starting, unready(15))},
			want: done{Requeue: []string{"a"}, Delete: []string{"x"}, Create: 1},
		},
		"an idle server does not come back": {servers: []*Server{server("x", Starting, unready(15), idle(1))}, want: done{Delete: []string{"x"}}},
		"it takes long to start":            {sessions: []*Session{waits("a", 0)}, servers: []*Server{server("x", Starting, unready(600))}, want: done{}},
		"two replicas gave away the same place": {
			sessions: []*Session{waits("a", 0, servedBy("x")), waits("b", 1, servedBy("x"))}, servers: []*Server{server("x", Ready)},
			want: done{Requeue: []string{"b"}, Create: 1},
		},
		"the last session ended": {servers: []*Server{server("x", Ready)}, want: done{Idle: []string{"x"}, Again: time.Minute}},
		"idle for a while":       {servers: []*Server{server("x", Ready, idle(50))}, want: done{Again: 10 * time.Second}},
		"idle for too long":      {servers: []*Server{server("x", Ready, idle(60))}, want: done{Delete: []string{"x"}}},
		"idle, and wanted just in time": {
			sessions: []*Session{waits("a", 0)}, servers: []*Server{server("x", Ready, idle(60))},
			want: done{Assign: map[string]string{"a": "x"}, Busy: []string{"x"}},
		},
		"nobody waits for it any more":     {servers: []*Server{server("x", Waiting)}, want: done{Delete: []string{"x"}}},
		"nobody does, and it has a device": {servers: []*Server{server("x", Starting)}, want: done{Idle: []string{"x"}, Again: time.Minute}},
		"nobody did for too long":          {servers: []*Server{server("x", Starting, idle(60))}, want: done{Delete: []string{"x"}}},
		"somebody does again":              {sessions: []*Session{waits("a", 0)}, servers: []*Server{server("x", Starting, idle(50))}, want: done{Busy: []string{"x"}}},
		"another waits while one is unready": {
			sessions: []*Session{waits("a", 0, servedBy("x")), waits("b", 1)}, servers: []*Server{server("x", Starting, unready(14))},
			want: done{Create: 1, Again: time.Second},
		},
		"the one without a device is given up": {sessions: []*Session{waits("a", 0)}, servers: []*Server{server("x", Waiting), server("y", Starting)}, want: done{Delete: []string{"x"}}},
		"the youngest is given up":             {sessions: []*Session{waits("a", 0)}, servers: []*Server{server("x", Waiting), server("y", Waiting, created(1))}, want: done{Delete: []string{"y"}}},
		"gone servers count for nothing":       {sessions: []*Session{waits("a", 0)}, servers: []*Server{server("x", Gone)}, want: done{Create: 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			table := NewTable()
			for _, s := range tt.sessions {
				table.Put(s)
			}
			for _, v := range tt.servers {
				table.PutServer(v)
			}
			got := table.Plan(faces, Limits{PerServer: max(tt.per, 1), Idle: time.Minute}, start)
			if diff := cmp.Diff(tt.want, doneOf(got)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProfileUnknown: while a profile is away, sessions that share a server stay.
func TestProfileUnknown(t *testing.T) {
	table := NewTable()
	table.Put(waits("a", 0, servedBy("x")))
	table.Put(waits("b", 1, servedBy("x")))
	table.PutServer(server("x", Ready))
	for unknown, want := range map[bool]done{true: {}, false: {Requeue: []string{"b"}, Create: 1}} {
		got := doneOf(table.Plan(faces, Limits{PerServer: 1, Idle: time.Minute, Unknown: unknown}, start))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("unknown %v (-want +got):\n%s", unknown, diff)
		}
	}
}

func TestExpired(t *testing.T) {
	table := NewTable()
	table.Put(waits("a", 0))
	table.Put(waits("b", 0, func(s *Session) { s.Renewed = start.Add(5 * time.Second) }))
	expired, next := table.Expired(start.Add(59 * time.Second))
	if len(expired) != 0 || !next.Equal(start.Add(time.Minute)) {
		t.Errorf("%d expired, next %v", len(expired), next)
	}
	expired, next = table.Expired(start.Add(time.Minute))
	if len(expired) != 1 || expired[0].ID != "a" || !next.Equal(start.Add(65*time.Second)) {
		t.Errorf("%d expired, next %v", len(expired), next)
	}
}

func TestPosition(t *testing.T) {
	table := NewTable()
	a, b, c := waits("a", 0), waits("b", 1, urgently), waits("c", 2, servedBy("x"))
	for _, s := range []*Session{a, b, c} {
		table.Put(s)
	}
	for s, want := range map[*Session]int{b: 1, a: 2, c: 0} {
		if got, of := table.Position(s); got != want || want > 0 && of != 2 {
			t.Errorf("%s is at %d of %d, want %d", s.ID, got, of, want)
		}
	}
}

func TestOldestAndShared(t *testing.T) {
	table := NewTable()
	if at := table.Oldest(); !at.IsZero() {
		t.Errorf("nobody waits, and somebody since %v", at)
	}
	for _, s := range []*Session{waits("a", 3), waits("b", 1, urgently), waits("c", 0, servedBy("x")), waits("d", 0, servedBy("x")), waits("e", 0, servedBy("y"))} {
		table.Put(s)
	}
	if at, n := table.Oldest(), table.Shared(); !at.Equal(start.Add(time.Second)) || n != 2 {
		t.Errorf("the oldest is of %v, and %d share", at, n)
	}
}

// TestFree: nobody overtakes those who wait.
func TestFree(t *testing.T) {
	table := NewTable()
	table.PutServer(server("x", Ready))
	if v := table.Free(faces, 1); v == nil || v.Name != "x" {
		t.Errorf("got %v, want x", v)
	}
	table.Put(waits("a", 0))
	if v := table.Free(faces, 1); v != nil {
		t.Errorf("got %s although somebody waits", v.Name)
	}
	table.Put(waits("a", 0, servedBy("x")))
	if v := table.Free(faces, 1); v != nil {
		t.Errorf("got %s, which is full", v.Name)
	}
	if v := table.Free(faces, 2); v == nil {
		t.Error("a place is free")
	}
	if v := table.Free(Pool{}, 1); v != nil {
		t.Error("there is nothing in this pool")
	}
}
