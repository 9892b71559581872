//go:build long

package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// claimWatch follows which devices claims have, and which pods.
type claimWatch struct {
	mu sync.Mutex
	// holder is the claim of each device, had the last allocation of each claim.
	holder, had map[string]string
	pods        map[types.UID]*corev1.Pod
	// image is that with which a pod was first seen on a node.
	image map[types.UID]string
	wrong []string
}

func watchClaims(t *testing.T, s *stack.Stack) *claimWatch {
	t.Helper()
	w := &claimWatch{holder: map[string]string{}, had: map[string]string{}, pods: map[types.UID]*corev1.Pod{}, image: map[types.UID]string{}}
	factory := informers.NewSharedInformerFactory(s.Client(), 0)
	for _, watch := range []struct {
		informer cache.SharedIndexInformer
		handle   cache.ResourceEventHandlerFuncs
	}{
		{factory.Resource().V1().ResourceClaims().Informer(), cache.ResourceEventHandlerFuncs{
			AddFunc: w.claim, UpdateFunc: func(_, o any) { w.claim(o) }, DeleteFunc: w.claimGone,
		}},
		{factory.Core().V1().Pods().Informer(), cache.ResourceEventHandlerFuncs{
			AddFunc: w.pod, UpdateFunc: func(_, o any) { w.pod(o) }, DeleteFunc: func(any) { w.say("a pod was deleted") },
		}},
	} {
		if _, err := watch.informer.AddEventHandler(watch.handle); err != nil {
			t.Fatal(err)
		}
	}
	factory.StartWithContext(t.Context())
	t.Cleanup(factory.Shutdown)
	for kind, ok := range factory.WaitForCacheSync(t.Context().Done()) {
		if !ok {
			t.Fatalf("%v could not be watched", kind)
		}
	}
	return w
}

func (w *claimWatch) say(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, what)
}

func (w *claimWatch) claim(o any) {
	c := o.(*resourcev1.ResourceClaim)
	w.release(c.Name)
	if c.Status.Allocation == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range c.Status.Allocation.Devices.Results {
		device := r.Pool + "/" + r.Device
		if other := w.holder[device]; other != "" {
			w.wrong = append(w.wrong, fmt.Sprintf("%s has %s and %s", device, other, c.Name))
		}
		w.holder[device], w.had[c.Name] = c.Name, r.Driver
	}
}

func (w *claimWatch) claimGone(o any) {
	if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = last.Obj
	}
	w.release(o.(*resourcev1.ResourceClaim).Name)
}

func (w *claimWatch) release(claim string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for device, holder := range w.holder {
		if holder == claim {
			delete(w.holder, device)
		}
	}
}

func (w *claimWatch) pod(o any) {
	p := o.(*corev1.Pod)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pods[p.UID] = p
	if p.Spec.NodeName != "" && w.image[p.UID] == "" {
		w.image[p.UID] = p.Spec.Containers[0].Image
	}
}

// createAll creates pods at once. Where the API server has waited for the webhook in
// vain, as on a busy machine, it is asked again, as a controller would.
func (w *claimWatch) createAll(t *testing.T, s *stack.Stack, n int, lasts string) map[types.UID]bool {
	t.Helper()
	uids := map[types.UID]bool{}
	var mu sync.Mutex
	creates, ctx := errgroup.WithContext(t.Context())
	creates.SetLimit(16)
	for i := range n {
		creates.Go(func() error {
			p := latePod(fmt.Sprintf("storm-%03d", i), []string{"gpu,npu", "npu,gpu"}[i%2])
			withAnnotation(cluster.DurationAnnotation, lasts)(p)
			var created *corev1.Pod
			err := retry.OnError(wait.Backoff{Duration: time.Second, Steps: 10}, apierrors.IsInternalError, func() (err error) {
				created, err = s.Client().CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
				return err
			})
			if err == nil {
				mu.Lock()
				uids[created.UID] = true
				mu.Unlock()
			}
			return err
		})
	}
	if err := creates.Wait(); err != nil {
		t.Fatal(err)
	}
	return uids
}

// unended are some of the pods that have not ended, and how they are.
func (w *claimWatch) unended() (said string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, p := range w.pods {
		if p.Status.Phase != corev1.PodSucceeded && n < 3 {
			n++
			said += fmt.Sprintf("\n  %s on %q for %s, claim has %q: %v", p.Name, p.Spec.NodeName, kind(p), w.had[*p.Spec.ResourceClaims[0].ResourceClaimName], p.Status.Conditions)
		}
	}
	return said
}

// check checks, once all have ended, what each pod ran with, and returns how many had
// been moved.
func (w *claimWatch) check(t *testing.T, uids map[types.UID]bool) (moved int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, what := range w.wrong {
		t.Error(what)
	}
	if len(w.pods) != len(uids) {
		t.Errorf("%d pods were there, and %d were created", len(w.pods), len(uids))
	}
	for uid, p := range w.pods {
		driver, image := w.had[*p.Spec.ResourceClaims[0].ResourceClaimName], p.Spec.Containers[0].Image
		want := map[string][2]string{"gpu.test": {"late:gpu", "GPU"}, "npu.test": {"late:npu", "MYRIAD"}}[driver]
		if got := [2]string{image, p.Annotations[accel.DeviceAnnotation]}; !uids[uid] || got != want || w.image[uid] != image {
			t.Errorf("pod %s, created: %t, ran %v, bound with %s, on a device of %q", p.Name, uids[uid], got, w.image[uid], driver)
		}
		if p.Annotations[accel.ReadmissionsAnnotation] != "" {
			moved++
		}
	}
	return moved
}
