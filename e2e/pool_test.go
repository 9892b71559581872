package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/monitor"
)

// setup is an installation that several tests need alike. A test that borrows
// one may find it used by others before: with no pods, all nodes in order and
// every program running, but with their namespaces and Events. It leaves it the
// same way, and profiles as they were.
type setup struct {
	name     string
	machines func() []*machine.Machine
	// webhook and extender are further flags of theirs.
	webhook, extender []string
	// prepare, if set, adds what has to be written to files first.
	prepare func(*testing.T, *stack.Config)
	// plain leaves the race detector out of the programs: nothing happens at once.
	plain bool
	// scrape is how often each program reads every exporter; 0 for half a second.
	scrape time.Duration
}

// The setups in the order in which their tests begin, those that take longest
// first.
var (
	paper = setup{name: "the paper's nodes", machines: machine.Paper}
	// What asks for a faster kind need not have run for long.
	oneNode = setup{
		name: "one of each", machines: oneOfEach,
		webhook: []string{"--upgrade-uptime=1s", "--upgrade-idle=1s", "--upgrade-ready=3s", "--upgrade-limit=100", "--server-metrics-interval=1s"},
	}
	unattended = setup{name: "one of each, not recreated", machines: oneOfEach, webhook: []string{"--readmission=false"}}
	// What breaks is not what its tests look at, and twenty pages are read at a time.
	hundred = setup{name: "a hundred devices", machines: fleet, scrape: monitor.DefaultInterval}
	// A reservation that no pod takes is soon forgotten.
	fourOfEach = setup{name: "four of each", machines: manyOfEach, webhook: []string{"--reservation-ttl=10s", "--upgrade-uptime=1s", "--upgrade-idle=1s"}}
	fourNodes  = setup{
		name: "the paper's nodes and one more", machines: paperAndTwo, plain: true,
		webhook: []string{"--scheduler-names=default-scheduler,edge-scheduler"},
	}
	// What others ran, broke or deleted has a say in what is learned.
	learns        = setup{name: "the paper's nodes, for what is learned", machines: machine.Paper, plain: true}
	authenticated = setup{name: "an API server that authenticates itself", machines: oneGPUEach, plain: true, prepare: withClientCA}
	twoShapes     = setup{name: "two GPUs, and a stick and an FPGA", machines: twoShapesOfNodes, plain: true}
	// What takes long does so by what the tests do, and not as the machine is busy.
	calm = setup{name: "the paper's nodes, with little to do", machines: machine.Paper, plain: true, scrape: monitor.DefaultInterval}
	// What is stale is so in seconds.
	impatient = setup{
		name: "the paper's nodes, soon stale", machines: machine.Paper,
		webhook: []string{"--reservation-ttl=10s", "--max-telemetry-age=4s"}, extender: []string{"--max-telemetry-age=4s"},
	}
	setups = []setup{paper, calm, twoShapes, impatient, fourNodes, learns, hundred, authenticated, oneNode, fourOfEach, unattended}
)

// pool has the installations that nobody uses, and how many tests have yet to
// release each setup: what nobody waits for is stopped.
var pool = struct {
	mu      sync.Mutex
	idle    map[string]*stack.Stack
	pending map[string]int
}{idle: map[string]*stack.Stack{}, pending: map[string]int{}}

// borrow makes the test a parallel one and returns an installation for its time.
func borrow(t *testing.T, want setup) *stack.Stack {
	t.Helper()
	expect(want.name, 1)
	turn(t, want.name)
	t.Cleanup(func() { expect(want.name, -1) })
	s := take(want.name)
	if s == nil {
		var out bytes.Buffer
		cfg := stack.Config{Out: &out, Race: !want.plain, Machines: want.machines(), Webhook: want.webhook, Extender: want.extender, Scrape: want.scrape}
		if want.prepare != nil {
			want.prepare(t, &cfg)
		}
		var err error
		// Not the test's context: the next test goes on with it.
		if s, err = launch(context.Background(), cfg); err != nil {
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

// expect counts the tests that have yet to release a setup, and stops its
// installation once no test will borrow it any more.
func expect(name string, tests int) {
	pool.mu.Lock()
	pool.pending[name] += tests
	last := pool.pending[name] == 0
	pool.mu.Unlock()
	if !last {
		return
	}
	if s := take(name); s != nil {
		s.Stop() // takes seconds: not under the lock
	}
}

// take takes an idle installation from the pool; nil if there is none.
func take(name string) *stack.Stack {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	s := pool.idle[name]
	delete(pool.idle, name)
	return s
}

// release puts an installation into the pool.
func release(name string, s *stack.Stack) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	pool.idle[name] = s
}

// scratch is a directory for files of installations.
var scratch string

// TestMain stops what the pool has once all tests have ended.
func TestMain(m *testing.M) {
	flag.Parse()
	takeTurns()
	var err error
	if scratch, err = os.MkdirTemp("", "e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	for _, s := range pool.idle {
		s.Stop()
	}
	_ = os.RemoveAll(scratch)
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
	if cfg.Programs == "" {
		var err error
		if cfg.Programs, err = compiled[cfg.Race || long](); err != nil {
			return nil, err
		}
	}
	// The shipped 500 ms are for programs without the race detector, on machines that
	// do not run several tests and compile at the same time: a pod for which a call is
	// given up is bound as if there were no extender, and most tests are not about that.
	// TestTimeout and extenderVanishes have the shipped time.
	cfg.ExtenderTimeout = 5 * time.Second
	return stack.Start(ctx, cfg)
}

// noRaces fails a test whose programs the race detector caught, or that
// panicked in a request.
func noRaces(t *testing.T, s *stack.Stack) {
	t.Helper()
	for _, what := range s.Crashes() {
		t.Error(what)
	}
}
