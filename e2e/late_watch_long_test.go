//go:build long

package e2e

import (
	"context"
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
	created     map[types.UID]bool
	// bound is what a pod was first seen with on a node.
	bound map[types.UID]ranWith
	wrong []string
	// unsure is set while changes may be missed. Then a device may be seen with its next
	// claim before it is seen that the one before let it go: doubts are those.
	unsure bool
	doubts map[string][2]string
	marked bool
}

// ranWith is what a pod is given with its kind.
type ranWith struct{ image, device, cpu string }

func ranWithOf(p *corev1.Pod) ranWith {
	c := &p.Spec.Containers[0]
	return ranWith{c.Image, p.Annotations[accel.DeviceAnnotation], c.Resources.Requests.Cpu().String()}
}

// byDriver is what goes with a device of each driver.
var byDriver = map[string]ranWith{"gpu.test": {"late:gpu", "GPU", "1m"}, "npu.test": {"late:npu", "MYRIAD", "500m"}}

func watchClaims(t *testing.T, s *stack.Stack) *claimWatch {
	t.Helper()
	w := &claimWatch{
		holder: map[string]string{}, had: map[string]string{}, pods: map[types.UID]*corev1.Pod{},
		created: map[types.UID]bool{}, bound: map[types.UID]ranWith{}, doubts: map[string][2]string{},
	}
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
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marked = w.marked || c.Name == marker
	if c.Status.Allocation == nil {
		return
	}
	for _, r := range c.Status.Allocation.Devices.Results {
		device := r.Pool + "/" + r.Device
		if other := w.holder[device]; other != "" && w.unsure {
			w.doubts[device] = [2]string{other, c.Name}
		} else if other != "" {
			w.wrong = append(w.wrong, fmt.Sprintf("%s has %s and %s", device, other, c.Name))
		}
		w.holder[device], w.had[c.Name] = c.Name, r.Driver
	}
}

func (w *claimWatch) claimGone(o any) {
	if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = last.Obj
	}
	c := o.(*resourcev1.ResourceClaim)
	w.release(c.Name)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marked = w.marked && c.Name != marker
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
	if _, seen := w.bound[p.UID]; !seen && p.Spec.NodeName != "" {
		w.bound[p.UID] = ranWithOf(p)
	}
}

// createAll creates pods at once, which may have either kind, and have numbers from
// first on. Where the API server has waited for the webhook in vain, as on a busy
// machine, it is asked again, as a controller would.
func (w *claimWatch) createAll(ctx context.Context, s *stack.Stack, first, n int, lasts string) error {
	creates, ctx := errgroup.WithContext(ctx)
	creates.SetLimit(16)
	for i := first; i < first+n; i++ {
		creates.Go(func() error {
			p := latePod(fmt.Sprintf("storm-%04d", i), []string{"gpu,npu", "npu,gpu"}[i%2])
			withAnnotation(cluster.DurationAnnotation, lasts)(p)
			var created *corev1.Pod
			err := retry.OnError(wait.Backoff{Duration: time.Second, Steps: 10}, apierrors.IsInternalError, func() (err error) {
				created, err = s.Client().CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{})
				return err
			})
			if err == nil {
				w.mu.Lock()
				w.created[created.UID] = true
				w.mu.Unlock()
			}
			return err
		})
	}
	return creates.Wait()
}

// count counts the pods that wait for a node, those that run, and those that have ended.
func (w *claimWatch) count() (waiting, running, ended int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for uid := range w.created {
		switch p := w.pods[uid]; {
		case p == nil || p.Spec.NodeName == "":
			waiting++
		case p.Status.Phase == corev1.PodSucceeded:
			ended++
		default:
			running++
		}
	}
	return waiting, running, ended
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

// check checks what each pod that was bound ran with, and returns how many had been
// moved.
func (w *claimWatch) check(t *testing.T) (moved int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, what := range w.wrong {
		t.Error(what)
	}
	if len(w.pods) != len(w.created) {
		t.Errorf("%d pods were there, and %d were created", len(w.pods), len(w.created))
	}
	for uid, p := range w.pods {
		if !w.created[uid] {
			t.Errorf("pod %s is not the one that was created", p.Name)
		}
		if p.Annotations[accel.ReadmissionsAnnotation] != "" {
			moved++
		}
		if p.Spec.NodeName == "" {
			continue
		}
		driver := w.had[*p.Spec.ResourceClaims[0].ResourceClaimName]
		if got, want := ranWithOf(p), byDriver[driver]; got != want || w.bound[uid] != want {
			t.Errorf("pod %s was bound with %v and has %v, on a device of %q", p.Name, w.bound[uid], got, driver)
		}
	}
	return moved
}
