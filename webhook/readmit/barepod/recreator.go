package barepod

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"

	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
)

// Config is what a Recreator needs; every field is required.
type Config struct {
	Pods *podapi.Client
	// Namespace is ours, where the records are stored.
	Namespace string
	// Expected are the replacements that admission is told of.
	Expected *replacement.Expectations
	Refusals *refusals.Memory
	// Release releases a reservation of a namespace.
	Release  func(namespace, reservation string)
	Profiles *profile.Store
	Recorder events.EventRecorder
	// Go runs a task beside the loop, which ends with its context.
	Go func(func())
}

// Recreator recreates bare pods from records. Use New.
type Recreator struct {
	Config
	// holder is how this process signs the records that it acquires.
	holder string

	mu sync.Mutex
	// names are those under which a record can be stored, with the namespace of
	// the pod whose record it is, "" for none.
	names map[string]string
	// refused are the pods of records that the API server refuses, by name of
	// the record.
	refused map[string]kube.NotRecreated

	// publishing is acquired while refused is written to the API server; mu may be
	// taken under it, never the other way round.
	publishing sync.Mutex
}

// New returns a recreator. Until Recover has looked for records, it stores none.
func New(c Config) *Recreator {
	return &Recreator{Config: c, holder: rand.Text(), names: map[string]string{}, refused: map[string]kube.NotRecreated{}}
}

// Recreate deletes a bare pod and creates it from a manifest. The error is
// podapi.ErrChanged when the pod has changed since the record was made.
func (r *Recreator) Recreate(ctx context.Context, rec Record) error {
	content, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode the record of a pod: %w", err)
	}
	if len(content) > maxRecord {
		return podapi.Rejection{Reason: fmt.Sprintf("its manifest has %d KiB, and %d can be stored while it is recreated", len(content)>>10, maxRecord>>10)}
	}
	name, ok := r.takeName(rec.Namespace)
	if !ok {
		return errAllNamesTaken
	}
	stored, err := r.store(ctx, name, content)
	if err != nil {
		// It may be there all the same.
		r.Go(func() { r.resume(ctx, name) })
		return err
	}
	return r.carryOut(ctx, stored, true)
}

// Records is how many bare pods are being recreated.
func (r *Recreator) Records() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, namespace := range r.names {
		if namespace != "" {
			n++
		}
	}
	return n
}
