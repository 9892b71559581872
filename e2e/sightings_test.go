//go:build long

package e2e

import (
	"context"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// sightings has the pods that were seen to run, by who asked for them: the Job,
// or else the pod's own name, under which it is recreated.
type sightings struct {
	mu  sync.Mutex
	ran map[string]map[types.UID]string
	// cut were bound just when they were taken from their Job, and are deleted.
	cut map[types.UID]bool
}

// watchRuns follows the pods labelled app: waits.
func watchRuns(t *testing.T, s *stack.Stack) *sightings {
	t.Helper()
	w := &sightings{ran: map[string]map[types.UID]string{}, cut: map[types.UID]bool{}}
	factory := informers.NewSharedInformerFactoryWithOptions(s.Client(), 0, informers.WithNamespace(metav1.NamespaceDefault),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = "app=waits" }))
	handled, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { w.see(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { w.see(o.(*corev1.Pod)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	factory.StartWithContext(ctx)
	t.Cleanup(func() { cancel(); factory.Shutdown() })
	if !cache.WaitForCacheSync(ctx.Done(), handled.HasSynced) {
		t.Fatal("the pods could not be watched")
	}
	return w
}

func (w *sightings) see(p *corev1.Pod) {
	if p.Spec.NodeName == "" {
		return
	}
	who := p.Name
	if job := p.Labels[batchv1.JobNameLabel]; job != "" {
		who = job
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Labels[accel.ReleasedLabel] != "" {
		w.cut[p.UID] = true
		return
	}
	if w.ran[who] == nil {
		w.ran[who] = map[types.UID]string{}
	}
	w.ran[who][p.UID] = p.Name
}

// once checks that each was given a place exactly once.
func (w *sightings) once(t *testing.T, who []string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range who {
		if n := len(w.ran[name]); n != 1 {
			t.Errorf("%s ran %d times, want once: %v", name, n, w.ran[name])
		}
	}
	if len(w.ran) != len(who) {
		t.Errorf("%d ran, want the %d that were asked for", len(w.ran), len(who))
	}
}

// untilCreated creates something, however often it takes while no replica
// decides. A try whose answer was lost may have succeeded.
func untilCreated(ctx context.Context, try func(context.Context) error) error {
	return await(ctx, func(ctx context.Context) error {
		if err := try(ctx); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		return nil
	})
}
