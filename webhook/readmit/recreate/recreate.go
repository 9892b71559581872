package recreate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/barepod"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/replacement"
	"heteroaccel.io/webhook/variant"
)

// Config is what a Recreator needs; every field is required.
type Config struct {
	Pods      *podapi.Client
	Options   variant.Source
	Inventory *inventory.Inventory
	Refusals  *refusals.Memory
	// Expected are the replacements that admission is told of.
	Expected *replacement.Expectations
	// Bare recreates bare pods from records.
	Bare *barepod.Recreator
	// Admitted reports whether a live pod of a controller was admitted with a
	// kind.
	Admitted func(controller types.UID, kind accel.Kind) bool
	// Keys authenticate what we write on pods, as they are now.
	Keys func() *record.Keys
	// DryRun asks the API server before a pod is deleted. Without it pods move
	// only to kinds that their controller has already.
	DryRun bool
	// Verdicts counts the scheduler's verdicts that are accepted.
	Verdicts prometheus.Counter
	// ReadyLimit is how long the pod that replaces a server may take to be Ready.
	ReadyLimit time.Duration
}

// Recreator recreates pods. Use New.
type Recreator struct {
	Config

	mu sync.Mutex
	// watched are the pods that a recreation waits for news of.
	watched map[types.NamespacedName]*watch
	// orphaned is sent to when a pod that was created first is seen that no
	// recreation of this process is about.
	orphaned chan struct{}
}

// New returns a recreator.
func New(c Config) *Recreator {
	return &Recreator{Config: c, watched: map[types.NamespacedName]*watch{}, orphaned: make(chan struct{}, 1)}
}

// Recreate recreates a pod for a kind. first allows to create the next pod before
// this one is deleted, where its owner allows it. Nothing is done twice: every
// change is bound to the UID and the resourceVersion of the pod that was looked
// at.
func (r *Recreator) Recreate(ctx context.Context, p *pending.Pod, e *replacement.Expected, chosen inventory.Candidate, first bool) error {
	const tries = 3
	to := chosen.Kind
	err := errDeleteFirst
	if first {
		err = r.createFirst(ctx, p, e, chosen)
	}
	if !errors.Is(err, errDeleteFirst) {
		return err
	}
	for range tries {
		switch p.Owner {
		case pending.OwnerController:
			err = r.deleteForController(ctx, p, to)
		case pending.OwnerJob:
			err = r.release(ctx, p, to)
		default:
			err = r.recreateBare(ctx, p, e, to)
		}
		if !apierrors.IsConflict(err) {
			break // else it only changed, by the scheduler for instance
		}
	}
	return podapi.Changed(err)
}

// current returns the pod as it is now, if it is still pending for the same kind.
func (r *Recreator) current(ctx context.Context, p *pending.Pod) (*corev1.Pod, error) {
	pod, err := r.Pods.Get(ctx, p.Key())
	if err != nil {
		return nil, err
	}
	return pod, r.same(pod, p)
}

// same checks that a pod is the one we know, and requests what the kind takes
// that it waits for by its annotation, which anybody may write.
func (r *Recreator) same(pod *corev1.Pod, p *pending.Pod) error {
	now, ok := pending.Of(pod, r.Keys())
	if !ok || now.UID != p.UID || now.Template.Key != p.Template.Key || now.Reservation != p.Reservation || now.Owner != p.Owner {
		return podapi.ErrChanged
	}
	_, options, err := r.Options.OfBound(p.Namespace, now.Template.Pod, now.Template.Request, false)
	i := slices.IndexFunc(options, func(o inventory.Option) bool { return o.Kind == now.Template.Kind })
	if err != nil || i < 0 || !slices.Equal(options[i].Needs.Devices, inventory.PodOf(pod, r.Keys()).Needs.Devices) {
		return podapi.Rejection{Reason: fmt.Sprintf("it requests other resources than the %s variant has now: delete it, and it is created with those", now.Template.Kind)}
	}
	return nil
}

// deleteForController deletes a pod, and its controller recreates it.
func (r *Recreator) deleteForController(ctx context.Context, p *pending.Pod, to accel.Kind) error {
	pod, err := r.current(ctx, p)
	if err != nil {
		return err
	}
	if err := r.dryRun(ctx, subjectOf(p), pod, to); err != nil {
		return err
	}
	return r.Pods.Delete(ctx, p.Key(), metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion})
}

func nameOf(pod *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
}
