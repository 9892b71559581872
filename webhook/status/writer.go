package status

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

const (
	// interval is how often every profile's status is compared with what is observed:
	// what could not be written is tried again then.
	interval = 10 * time.Second
	// spacing is the least time between two comparisons. Each write comes back as a change
	// of its profile, and each counts the nodes.
	spacing = time.Second
	// timeout is how long one write may take.
	timeout = 5 * time.Second
)

// Config is what a Writer needs; nothing is optional but Binding.
type Config struct {
	// Write is profile.Client's WriteStatus.
	Write func(context.Context, *v1alpha1.InferenceProfile, profile.Observed) error
	// Nodes are those of the cluster, and Profiles the profiles.
	Nodes    func() []*inventory.Node
	Profiles *profile.Store
	// Binding is when the accelerator of a pod is settled whose profile does not say.
	Binding profile.Binding
	Now     func() time.Time
	Log     zerolog.Logger
}

// Writer keeps the status of every profile up to date with its spec and the cluster.
// Every replica would write the same; only the one that leads does.
type Writer struct {
	cfg Config
	// Images takes the pods.
	Images *Images

	changed chan struct{} // has an item when dirty has one
	mu      sync.Mutex
	latest  map[string]*v1alpha1.InferenceProfile
	dirty   map[string]struct{}
}

// New returns a writer that knows nothing.
func New(cfg Config) *Writer {
	w := &Writer{
		cfg: cfg, changed: make(chan struct{}, 1),
		latest: map[string]*v1alpha1.InferenceProfile{}, dirty: map[string]struct{}{},
	}
	w.Images = &Images{Profiles: cfg.Profiles, Now: cfg.Now, Changed: w.touch}
	return w
}

// Set takes a new or changed profile. It does not block.
func (w *Writer) Set(p *v1alpha1.InferenceProfile) {
	w.mu.Lock()
	w.latest[p.Name] = p
	w.mu.Unlock()
	w.touch(p.Name)
}

// touch has the status of a profile compared soon.
func (w *Writer) touch(name string) {
	w.mu.Lock()
	w.dirty[name] = struct{}{}
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Delete forgets a profile.
func (w *Writer) Delete(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.latest, name.Name)
	delete(w.dirty, name.Name)
}

// Run writes until the term ends whose context ctx is. It begins with all.
func (w *Writer) Run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for all := true; ; {
		begun := time.Now()
		profiles := w.take(all)
		observed := w.observe(profiles)
		for i, p := range profiles {
			if ctx.Err() != nil {
				break
			}
			limited, cancel := context.WithTimeout(ctx, timeout)
			if err := w.cfg.Write(limited, p, observed[i]); err != nil {
				w.cfg.Log.Warn().Err(err).Msg("the profile's status could not be written and will be tried again")
			}
			cancel()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
			all = false
		case <-tick.C:
			all = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(spacing - time.Since(begun)):
		}
	}
}

// take returns the profiles that changed, or all, by name.
func (w *Writer) take(all bool) []*v1alpha1.InferenceProfile {
	w.mu.Lock()
	defer w.mu.Unlock()
	var profiles []*v1alpha1.InferenceProfile
	for _, name := range slices.Sorted(maps.Keys(w.latest)) {
		if _, changed := w.dirty[name]; changed || all {
			profiles = append(profiles, w.latest[name])
		}
	}
	clear(w.dirty)
	return profiles
}

// observe returns what the cluster shows of each profile.
func (w *Writer) observe(profiles []*v1alpha1.InferenceProfile) []profile.Observed {
	if len(profiles) == 0 {
		return nil
	}
	named := map[string]bool{}
	for _, p := range w.cfg.Profiles.All() {
		for _, image := range imagesOf(p) {
			named[image] = true
		}
	}
	images, count := w.Images.all(named), counter(w.cfg.Nodes())
	out := make([]profile.Observed, len(profiles))
	for i, p := range profiles {
		out[i].Images = images
		if known, ok := w.cfg.Profiles.Get(p.Name); ok {
			out[i].Nodes = kindsOf(known, count, w.cfg.Binding)
		}
	}
	return out
}
