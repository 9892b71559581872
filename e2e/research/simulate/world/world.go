package world

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/servicetime"
	"heteroaccel.io/webhook/learning"
)

// epoch is when virtual time begins. The zero Time means unknown.
var epoch = time.Unix(0, 0)

const namespace = "edge"

// drainLimit is after how many horizons who is left beside servers is never served.
const drainLimit = 100

// World is a simulation under way.
type World struct {
	Config
	inv    *inventory.Inventory
	now    time.Duration
	events events

	options  [][]inventory.Option // by type
	every    []inventory.Option   // one of each kind
	expected []map[accel.Kind]time.Duration
	typeOf   map[string]int
	kindOf   map[accel.Kind]int

	jobs                      []job
	vacant                    []int
	slots                     []slot
	nodes                     []node
	idle                      [][]int // slots by kind; some are gone or taken since
	queues                    []queue // by kind
	shares                    []float64
	arrivals, noise, failures *rand.Rand
	urgency                   *rand.Rand

	// estimates are what was learned, by type and kind; reports is what ended
	// and is not learned yet, an event for each.
	estimates [][]servicetime.Estimate
	reports   []report
	trials    *learning.Trials

	serving *serving // nil where there are no servers

	serial   int
	over     bool // the horizon is behind
	measured measured
}

// job is one inference that somebody asked for, in whichever pods it runs.
type job struct {
	typ     int
	arrived time.Duration
	factor  float64 // of its service time
	camera  bool
	// urgent is set for a pod that gets a deadline, if any does.
	urgent bool
	// kind is where it waits or runs; slot is -1 while it waits.
	kind, slot int
	// attempt tells events of an earlier pod from those of this one.
	attempt uint64
	moves   int
	pod     inventory.Pod
	// serves is set for the pod of a server, which never ends.
	serves *replica
}

// slot takes one pod at a time.
type slot struct {
	node, kind int
	job        int // -1 for none
	up, listed bool
	since      time.Duration
}

type node struct {
	record *inventory.Node
	slots  []int
	up     bool
}

// Run runs a simulation to its end.
func Run(c Config) (Result, error) {
	w, err := newWorld(c)
	if err != nil {
		return Result{}, err
	}
	return w.run()
}

func (w *World) run() (Result, error) {
	if err := w.play(); err != nil {
		return Result{}, err
	}
	if err := w.drain(); err != nil {
		return Result{}, err
	}
	return w.result(), nil
}

// play runs to the horizon and takes the books there.
func (w *World) play() error {
	for {
		e, ok := w.events.next()
		if !ok || e.at > w.Horizon {
			if ok {
				w.events.plan(e)
			}
			w.now, w.over = w.Horizon, true
			w.summarise()
			return nil
		}
		if err := w.take(e); err != nil {
			return err
		}
	}
}

// drain serves who is left to the end.
func (w *World) drain() error {
	for w.measured.ended < w.measured.arrivals {
		e, ok := w.events.next()
		if !ok || w.serving != nil && e.at > drainLimit*w.Horizon {
			return fmt.Errorf("nothing will ever happen to %d pods that are left", w.measured.arrivals-w.measured.ended)
		}
		if err := w.take(e); err != nil {
			return err
		}
	}
	return nil
}

func newWorld(c Config) (*World, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	w := &World{
		Config: c,
		typeOf: map[string]int{}, kindOf: map[accel.Kind]int{},
		arrivals: rand.New(rand.NewPCG(c.Seed, 1)),
		noise:    rand.New(rand.NewPCG(c.Seed, 2)),
		failures: rand.New(rand.NewPCG(c.Seed, 3)),
		urgency:  rand.New(rand.NewPCG(c.Seed, 5)),
		idle:     make([][]int, len(c.Fleet.Kinds)),
		queues:   make([]queue, len(c.Fleet.Kinds)),
	}
	w.inv = inventory.New(inventory.Options{
		Now: func() time.Time { return epoch.Add(w.now) },
		ServiceTime: func(inference string, k accel.Kind) time.Duration {
			return w.expected[w.typeOf[inference]][k]
		},
	})
	for j, k := range c.Fleet.Kinds {
		w.kindOf[k.Name] = j
	}
	w.every = w.everyKind()
	w.addTypes()
	w.startLearning()
	w.addNodes()
	if err := w.addServers(); err != nil {
		return nil, err
	}
	if c.Cameras > 0 {
		for i := range c.Cameras {
			w.events.plan(event{do: arrive, what: i % len(c.Fleet.Types)})
		}
	} else {
		w.events.plan(event{at: w.interval(), do: arrive, what: -1})
	}
	return w, nil
}

func (w *World) addTypes() {
	off := rand.New(rand.NewPCG(w.Seed, 4))
	var sum float64
	for i, t := range w.Fleet.Types {
		w.typeOf[t.Name] = i
		sum += t.Share
		w.shares = append(w.shares, sum)
		times := map[accel.Kind]time.Duration{}
		var options, pinned []inventory.Option
		for j, s := range t.Service {
			if s <= 0 {
				continue
			}
			k := w.Fleet.Kinds[j].Name
			times[k] = time.Duration(float64(s) * math.Exp(w.Error*off.NormFloat64()))
			o := inventory.Option{Kind: k, Needs: needs(k), Service: times[k]}
			options = append(options, o)
			if k == w.Pinned {
				pinned = append(pinned, o)
			}
		}
		if len(pinned) > 0 {
			options = pinned
		}
		w.expected, w.options = append(w.expected, times), append(w.options, options)
	}
}

// interval is until the next arrival.
func (w *World) interval() time.Duration {
	return time.Duration(w.arrivals.ExpFloat64() / w.Rate * float64(time.Second))
}

// factor draws a run's service time over its type's: log-normal, of mean 1.
func (w *World) factor() float64 {
	if w.Spread <= 0 {
		return 1
	}
	variance := math.Log(1 + w.Spread*w.Spread)
	return math.Exp(math.Sqrt(variance)*w.noise.NormFloat64() - variance/2)
}

// take lets an event happen.
func (w *World) take(e event) (err error) {
	w.now = e.at
	switch e.do {
	case arrive:
		err = w.arrive(e.what)
	case start:
		if j := &w.jobs[e.what]; j.attempt == e.of {
			err = w.started(e.what)
		}
	case end:
		if j := &w.jobs[e.what]; j.attempt == e.of {
			err = w.ended(e.what)
		}
	case fail:
		err = w.failed(e.what)
	case repair:
		err = w.repaired(e.what)
	case learned:
		w.learn(w.reports[e.what])
	case rollout:
		err = w.rollOut(w.serving.deployments[e.what])
	case look:
		if e.of == w.serving.look {
			err = w.look()
		}
	}
	if err != nil {
		return fmt.Errorf("at %v: %w", e.at, err)
	}
	return nil
}

// service is how long a job runs on a kind.
func (w *World) service(j *job, kind int) time.Duration {
	return max(1, time.Duration(float64(w.Fleet.Types[j.typ].Service[kind])*j.factor))
}

// needs is what a pod of a kind requests: one device, or the cores of a run.
func needs(k accel.Kind) resources.Amounts {
	if k == accel.CPU {
		return resources.Amounts{CPU: coresPerRun}
	}
	return resources.Amounts{Devices: []resources.Devices{{Resource: resourceOf(k), Count: 1}}}
}
