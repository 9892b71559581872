package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/profile/v1alpha1"
)

const (
	// statusInterval is how often every profile's status is compared with its
	// spec: what could not be written is tried again then.
	statusInterval = 10 * time.Second
	// statusTimeout is how long one write may take.
	statusTimeout = 5 * time.Second
)

// statusWriter keeps the status of every profile up to date with its spec. Every
// replica would write the same; only the one that leads does.
type statusWriter struct {
	// write is profile.Client's WriteStatus.
	write func(context.Context, *v1alpha1.InferenceProfile) error
	log   zerolog.Logger

	changed chan struct{} // has an item when dirty has one
	mu      sync.Mutex
	latest  map[string]*v1alpha1.InferenceProfile
	dirty   map[string]struct{}
}

func newStatusWriter(write func(context.Context, *v1alpha1.InferenceProfile) error, log zerolog.Logger) *statusWriter {
	return &statusWriter{
		write: write, log: log, changed: make(chan struct{}, 1),
		latest: map[string]*v1alpha1.InferenceProfile{}, dirty: map[string]struct{}{},
	}
}

// set takes a new or changed profile. It does not block.
func (s *statusWriter) set(p *v1alpha1.InferenceProfile) {
	s.mu.Lock()
	s.latest[p.Name], s.dirty[p.Name] = p, struct{}{}
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// remove forgets a profile.
func (s *statusWriter) remove(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.latest, name.Name)
	delete(s.dirty, name.Name)
}

// run writes until the term ends whose context ctx is. It begins with all.
func (s *statusWriter) run(ctx context.Context) error {
	tick := time.NewTicker(statusInterval)
	defer tick.Stop()
	for all := true; ; {
		for _, p := range s.take(all) {
			if ctx.Err() != nil {
				break
			}
			limited, cancel := context.WithTimeout(ctx, statusTimeout)
			if err := s.write(limited, p); err != nil {
				s.log.Warn().Err(err).Msg("the profile's status could not be written and will be tried again")
			}
			cancel()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
			all = false
		case <-tick.C:
			all = true
		}
	}
}

// take returns the profiles that changed, or all, by name.
func (s *statusWriter) take(all bool) []*v1alpha1.InferenceProfile {
	s.mu.Lock()
	defer s.mu.Unlock()
	var profiles []*v1alpha1.InferenceProfile
	for _, name := range slices.Sorted(maps.Keys(s.latest)) {
		if _, changed := s.dirty[name]; changed || all {
			profiles = append(profiles, s.latest[name])
		}
	}
	clear(s.dirty)
	return profiles
}
