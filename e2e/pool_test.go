package e2e

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// setup is an installation that several tests need alike, whose programs have the
// race detector. A test that borrows
// one may find it used by others before: with no pods, all nodes in order and
// every program running, but with their namespaces and Events. It leaves it the
// same way, and profiles as they were.
type setup struct {
	name     string
	machines func() []*machine.Machine
	webhook  []string
}

var (
	paper      = setup{name: "the paper's nodes", machines: machine.Paper}
	oneNode    = setup{name: "one of each", machines: oneOfEach}
	unattended = setup{name: "one of each, not recreated", machines: oneOfEach, webhook: []string{"--readmission=false"}}
	hundred    = setup{name: "a hundred devices", machines: fleet}
)

// maxIdle is how many installations nobody uses are kept for the next test: an
// idle one takes a tenth of a processor and half a GiB.
const maxIdle = 2

// pool has the installations that nobody uses, the latest last, and how many
// tests have yet to release each setup: what nobody waits for is stopped.
var pool = struct {
	mu      sync.Mutex
	idle    []pooled
	pending map[string]int
}{pending: map[string]int{}}

type pooled struct {
	setup string
	*stack.Stack
}

// borrow makes the test a parallel one and returns an installation for its time.
func borrow(t *testing.T, want setup) *stack.Stack {
	t.Helper()
	expect(want.name, 1)
	t.Parallel() // goes on once every test has said what it will borrow
	t.Cleanup(func() { expect(want.name, -1) })
	s := take(want.name)
	if s == nil {
		var out bytes.Buffer
		var err error
		// Not the test's context: the next test goes on with it.
		if s, err = launch(context.Background(), stack.Config{Out: &out, Race: true, Machines: want.machines(), Webhook: want.webhook}); err != nil {
			t.Fatalf("start the cluster: %v\n%s", err, out.String())
		}
	}
	t.Cleanup(func() {
		if !t.Failed() {
			// Not the test's context, which has ended.
			if err := cleanUp(context.Background(), s); err != nil {
				t.Error(err)
			}
		}
		noRaces(t, s)
		if t.Failed() { // who knows what is in there
			s.Stop()
			return
		}
		release(want.name, s)
	})
	return s
}

// expect counts the tests that have yet to release a setup, and stops those
// installations that no test will borrow any more.
func expect(name string, tests int) {
	pool.mu.Lock()
	pool.pending[name] += tests
	last := pool.pending[name] == 0
	pool.mu.Unlock()
	for last {
		s := take(name)
		if s == nil {
			return
		}
		s.Stop() // takes seconds: not under the lock
	}
}

// take takes an idle installation from the pool; nil if there is none.
func take(name string) *stack.Stack {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	i := slices.IndexFunc(pool.idle, func(p pooled) bool { return p.setup == name })
	if i < 0 {
		return nil
	}
	s := pool.idle[i].Stack
	pool.idle = slices.Delete(pool.idle, i, i+1)
	return s
}

// release puts an installation into the pool, and stops the one that was idle
// longest if there are too many.
func release(name string, s *stack.Stack) {
	pool.mu.Lock()
	pool.idle = append(pool.idle, pooled{name, s})
	var stop *stack.Stack
	if len(pool.idle) > maxIdle {
		stop = pool.idle[0].Stack
		pool.idle = slices.Delete(pool.idle, 0, 1)
	}
	pool.mu.Unlock()
	if stop != nil {
		stop.Stop()
	}
}

// TestMain stops what the pool has once all tests have ended.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, p := range pool.idle {
		p.Stop()
	}
	os.Exit(code)
}

// compiled has the directories of the programs under test, with and without the
// race detector.
var compiled = map[bool]func() (string, error){
	false: sync.OnceValues(func() (string, error) { return stack.BuildPrograms(context.Background(), nil) }),
	true: sync.OnceValues(func() (string, error) {
		programs := []string{"connector", "extender", "webhook"}
		// Of these there are up to ten, and nobody but scrapers calls them.
		if long {
			programs = append(programs, "exporter")
		}
		return stack.BuildPrograms(context.Background(), nil, programs...)
	}),
}

// launch starts an installation. Its programs have the race detector, which
// multiplies their processor time, if cfg.Race is set, and in all of the long
// tests.
func launch(ctx context.Context, cfg stack.Config) (*stack.Stack, error) {
	var err error
	if cfg.Programs, err = compiled[cfg.Race || long](); err != nil {
		return nil, err
	}
	return stack.Start(ctx, cfg)
}

// start runs an installation of its own for one test. Tests in which things
// happen at once set Race.
func start(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	var out bytes.Buffer
	cfg.Out = &out
	s, err := launch(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start the cluster: %v\n%s", err, out.String())
	}
	t.Cleanup(func() {
		noRaces(t, s)
		s.Stop()
	})
	return s
}

// noRaces fails a test whose programs the race detector caught, or that
// panicked in a request.
func noRaces(t *testing.T, s *stack.Stack) {
	t.Helper()
	for _, p := range s.Processes() {
		if name, _, _ := strings.Cut(p.Name(), "-"); slices.Contains([]string{"webhook", "extender", "exporter", "connector"}, name) {
			noRace(t, p)
		}
	}
}

// noRace looks at one program's log.
func noRace(t *testing.T, p *cluster.Process) {
	t.Helper()
	log, err := os.ReadFile(p.Log())
	if err != nil {
		t.Errorf("read the log of the %s: %v", p.Name(), err)
		return
	}
	for _, bad := range []string{"DATA RACE", "panic:", `"panic"`} {
		if i := bytes.Index(log, []byte(bad)); i >= 0 {
			t.Errorf("the %s's log has %q:\n%s", p.Name(), bad, log[max(0, i-500):min(len(log), i+3000)])
		}
	}
}
