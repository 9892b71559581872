package learning

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

// Config is what a Learner needs; only Registry, Interval and Now are optional.
type Config struct {
	// Profiles say which variant a run was of.
	Profiles *profile.Store
	// Write adds runs to the status of a profile. again, with an error, asks
	// for another try: see profile.Client.AddRuns.
	Write func(ctx context.Context, name string, runs map[accel.Kind]profile.Runs) (again bool, err error)
	// Leads returns nil on the replica that decides, the only one that counts runs:
	// each would count once for every replica otherwise.
	Leads func() error
	// Offers reports whether a node is known that has an extended resource, or any
	// node of the name for "".
	Offers func(node, resource string) bool
	// Codes stand for a namespace in the status of a profile, which more people may
	// read than may know the namespace: the one that is used now, and those that
	// were, with earlier keys.
	Codes func(inference, namespace string) []string
	// Registry, if not nil, gets the metrics.
	Registry prometheus.Registerer
	// Interval is how often runs are written. Default 2 s.
	Interval time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
	Log zerolog.Logger
}

// maxWrites bounds how many profiles are written each time: 5 a second.
const maxWrites = 10

// maxNamespaces bounds the namespaces whose runs wait to be written, of each
// variant; runs of others are dropped. Fewer are kept in the end.
const maxNamespaces = 64

// writeTimeout is how long one write may take.
const writeTimeout = 5 * time.Second

// Learner collects runs and writes them. Its methods may be called from any
// goroutine.
type Learner struct {
	cfg  Config
	runs *prometheus.CounterVec // by outcome
	// deadlines are the runs that had one, by whether it was kept.
	deadlines *prometheus.CounterVec

	mu sync.Mutex
	// unwritten are the runs to write, by profile, and order the profiles that they
	// are of, the one that has waited longest first.
	unwritten map[string]map[accel.Kind]profile.Runs
	order     []string
	// profiles are the profiles as they are now, by name.
	profiles map[string]revision
	// edited is when a variant was last seen to become another.
	edited map[variantKey]time.Time

	// logged is the last error that was logged; only Run uses it.
	logged string
}

// revision is a profile as it was written at some time, and the hashes of its
// variants, none if it cannot be used.
type revision struct {
	uid        types.UID
	generation int64
	reset      string
	hashes     map[accel.Kind]string
}

type variantKey struct {
	inference string
	kind      accel.Kind
}

// New returns a learner that knows nothing.
func New(cfg Config) *Learner {
	cfg.Interval = cmp.Or(cfg.Interval, 2*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Learner{
		cfg: cfg, runs: newRuns(), deadlines: newDeadlines(),
		unwritten: map[string]map[accel.Kind]profile.Runs{}, profiles: map[string]revision{}, edited: map[variantKey]time.Time{},
	}
	if cfg.Registry != nil {
		cfg.Registry.MustRegister(l.runs, l.deadlines)
	}
	return l
}

// Finished takes a pod that ended, and learns from its run if that tells how long
// the variant takes that the pod was given.
func (l *Learner) Finished(p *inventory.Pod) {
	if p.Managed == nil || l.cfg.Leads() != nil {
		return
	}
	l.runs.WithLabelValues(string(l.learn(p))).Inc()
	l.countDeadline(p)
}

// learn adds a pod's run to those to be written if that tells something.
func (l *Learner) learn(p *inventory.Pod) outcome {
	of, _ := l.cfg.Profiles.Get(p.Managed.Inference)
	if why := l.tells(p, of); why != learned {
		return why
	}
	v := variantOf(p, of)
	took, _ := p.Run.Duration()
	codes := l.cfg.Codes(of.Name, p.Namespace)
	namespace := codes[0]
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isEdited(p, of, v) {
		return edit
	}
	one := map[string]servicetime.Estimate{namespace: servicetime.Estimate{}.Observe(took, p.Run.Ended)}
	l.add(of.Name, map[accel.Kind]profile.Runs{v.Kind: {Hash: v.Hash, By: one, Formerly: map[string][]string{namespace: codes[1:]}}})
	return learned
}

// isEdited reports whether a pod was created before the variant was edited: it runs the
// old one. The API server cuts the time of creation to whole seconds. It expects the lock.
func (l *Learner) isEdited(p *inventory.Pod, of *profile.Profile, v *profile.Variant) bool {
	edited, ok := l.edited[variantKey{of.Name, v.Kind}]
	return ok && p.Run.Created.Add(time.Second).Before(edited)
}

// add appends runs to those of the same variant that are not yet written. Of a
// variant that was edited, only the runs since then count. It expects the lock.
func (l *Learner) add(name string, more map[accel.Kind]profile.Runs) {
	known := l.unwritten[name]
	if known == nil {
		known = map[accel.Kind]profile.Runs{}
		l.unwritten[name] = known
		l.order = append(l.order, name)
	}
	for kind, later := range more {
		sum := known[kind]
		if sum.By == nil || sum.Hash != later.Hash {
			known[kind] = later
			continue
		}
		for namespace, e := range later.By {
			if before, ok := sum.By[namespace]; ok || len(sum.By) < maxNamespaces {
				sum.By[namespace], sum.Formerly[namespace] = before.Append(e), later.Formerly[namespace]
			}
		}
	}
}

// SetProfile takes a new or changed profile, to know since when each of its
// variants is what it is. Those of a profile that is new here have not been
// edited.
func (l *Learner) SetProfile(in *v1alpha1.InferenceProfile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.profiles[in.Name]
	now := revision{uid: in.UID, generation: in.Generation, reset: in.Annotations[accel.ResetLearnedAnnotation]}
	if known && now.reset != "" && before.reset != now.reset {
		l.drop(in.Name)
		before.reset = now.reset
		l.profiles[in.Name] = before
	}
	if known && before.generation == in.Generation && before.uid == in.UID {
		return
	}
	if p, err := profile.New(in); err == nil { // else it is used for nothing until it is edited again
		now.hashes = make(map[accel.Kind]string, len(p.Variants))
		for _, v := range p.Variants {
			now.hashes[v.Kind] = v.Hash
			if old, had := before.hashes[v.Kind]; known && (!had || old != v.Hash) {
				l.edited[variantKey{p.Name, v.Kind}] = l.cfg.Now()
			}
		}
	}
	l.profiles[in.Name] = now
}

// drop forgets the runs of a profile that are to be written. It expects the lock.
func (l *Learner) drop(name string) {
	delete(l.unwritten, name)
	l.order = slices.DeleteFunc(l.order, func(n string) bool { return n == name })
}

// DeleteProfile forgets a profile.
func (l *Learner) DeleteProfile(name types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.profiles, name.Name)
	maps.DeleteFunc(l.edited, func(k variantKey, _ time.Time) bool { return k.inference == name.Name })
}

// Run writes the collected runs until the term ends whose context ctx is, and once
// more then, while the Lease is still held. What cannot be written any more is written
// in the next term of this replica: no other one has counted it.
func (l *Learner) Run(ctx context.Context) error {
	tick := time.NewTicker(l.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.write(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
			defer cancel()
			l.write(last)
			return nil
		}
	}
}

// write writes the runs of the profiles that have waited longest.
func (l *Learner) write(ctx context.Context) {
	for range maxWrites {
		name, reset, runs := l.take()
		if name == "" {
			return
		}
		limited, cancel := context.WithTimeout(ctx, writeTimeout)
		again, err := l.cfg.Write(limited, name, runs)
		cancel()
		if err == nil {
			l.logged = ""
			continue
		}
		if l.logged != err.Error() {
			l.logged = err.Error()
			l.cfg.Log.Warn().Err(err).Bool("again", again).Msg("service times could not be written to the profile's status")
		}
		if again {
			l.putBack(name, reset, runs)
			return // do not repeat at once what just failed
		}
	}
}

// take removes the runs of the profile that has waited longest, and returns them with
// the profile's reset that they came after.
func (l *Learner) take() (name, reset string, runs map[accel.Kind]profile.Runs) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.order) == 0 {
		return "", "", nil
	}
	name = l.order[0]
	l.order = l.order[1:]
	runs = l.unwritten[name]
	delete(l.unwritten, name)
	return name, l.profiles[name].reset, runs
}

// putBack returns runs that could not be written, before those that came
// meanwhile.
func (l *Learner) putBack(name, reset string, runs map[accel.Kind]profile.Runs) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.profiles[name].reset; now != "" && now != reset {
		return // what was learned was reset meanwhile
	}
	meanwhile := l.unwritten[name]
	if meanwhile == nil {
		l.add(name, runs)
		return
	}
	l.unwritten[name] = runs
	l.add(name, meanwhile)
}
