package status

import (
	"sync"
	"time"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
)

// Images collects what became of the images of variants. Its methods may be called from
// any goroutine.
type Images struct {
	// Profiles say which image a pod was given, and Now is the clock.
	Profiles *profile.Store
	Now      func() time.Time
	// Changed is called with a profile of which an image was pulled that failed before,
	// or the other way round. It must not block.
	Changed func(inference string)

	mu     sync.Mutex
	images map[string]profile.Image
}

// Observe takes a pod that is new or has changed.
func (i *Images) Observe(p *inventory.Pod) {
	if p.Managed == nil || p.Run == nil || p.Run.Altered || !p.Run.Pulled && p.Run.PullError == "" {
		return
	}
	of, ok := i.Profiles.Get(p.Managed.Inference)
	if !ok {
		return
	}
	v := of.Variant(p.Managed.Kind)
	if v == nil || v.Spec.Image != p.Run.Image {
		return // the profile was edited since, or somebody changed the pod's image
	}
	if i.add(p.Run) {
		i.Changed(of.Name)
	}
}

// add records what became of one container's image, and reports whether that is not what
// became of the last one's.
func (i *Images) add(r *inventory.Run) (other bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.images == nil {
		i.images = map[string]profile.Image{}
	}
	seen, known := i.images[r.Image]
	failed := seen.Failed.After(seen.Pulled)
	if r.Pulled {
		// A pod that has run for days had its image when it started, which is at most a
		// second after what the API has, by its node's clock.
		at := i.Now()
		if started := r.Started.Add(time.Second); !r.Started.IsZero() && started.Before(at) {
			at = started
		}
		if at.After(seen.Pulled) {
			seen.Pulled = at
		}
	} else {
		seen.Failed, seen.Error = i.Now(), r.PullError
	}
	i.images[r.Image] = seen
	return !known || failed != seen.Failed.After(seen.Pulled)
}

// all returns what became of every image that one of the profiles names, and forgets the
// others.
func (i *Images) all(named map[string]bool) map[string]profile.Image {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := make(map[string]profile.Image, len(i.images))
	for name, image := range i.images {
		if named[name] {
			out[name] = image
		} else {
			delete(i.images, name)
		}
	}
	return out
}
