package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/stack"
)

// createdFirst reports whether a Deployment's pod was created before the one
// whose place it took was gone: a ReplicaSet says of the pods that it creates
// itself that they block its deletion.
func createdFirst(p *corev1.Pod) bool {
	c := metav1.GetControllerOf(p)
	return c != nil && c.BlockOwnerDeletion == nil
}

// TestCreatedFirst: the next pod of a Deployment is created before the one that
// waits is gone, where the namespace's quota has room for both.
func TestCreatedFirst(t *testing.T) {
	s := borrow(t, fourOfEach)
	for range 4 {
		occupy(t, s, gpuResource)
	}
	for range 2 {
		occupy(t, s, stickResource)
	}
	t.Run("two at once", func(t *testing.T) {
		replicas(t, s, 2, true)
		nothingRefused(t, s, metav1.NamespaceDefault)
	})
	third := occupy(t, s, stickResource)
	t.Run("one", func(t *testing.T) {
		replicas(t, s, 1, true)
		nothingRefused(t, s, metav1.NamespaceDefault)
	})
	t.Run("no pods without an owner", func(t *testing.T) {
		defer forbid(t, s, "no-orphans", ":npu", "object.metadata.namespace == 'default' && !has(object.metadata.ownerReferences)")()
		enforced(t, s, ":npu", true)
		replicas(t, s, 1, false)
	})
	t.Run("no quota for both", func(t *testing.T) {
		defer kubectl(t, s, "delete", "resourcequota", "--all")
		// Those that hold the GPUs and the other sticks, and the one that waits.
		replicas(t, s, 1, false, func() { limited(t, s, metav1.NamespaceDefault, map[string]string{"pods": "8"}) })
	})
	vacate(t, s, third)
}

// replicas has so many replicas wait, frees as many sticks at once, and waits
// until exactly these run there; no other pod was ever let go.
func replicas(t *testing.T, s *stack.Stack, n int, first bool, prepare ...func()) {
	t.Helper()
	var sticks []*corev1.Pod
	for range n {
		sticks = append(sticks, occupy(t, s, stickResource))
	}
	manifest := strings.Replace(waitingOwners["Deployment"], "spec:\n", fmt.Sprintf("spec:\n  replicas: %d\n", n), 1)
	if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer deleteOwner(t, s, manifest)
	waited := map[types.UID]bool{}
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil || len(pods) != n {
			return fmt.Errorf("%d pods wait, want %d: %w", len(pods), n, errors.Join(err))
		}
		for _, p := range pods {
			if len(p.Status.Conditions) == 0 {
				return fmt.Errorf("the scheduler has not seen pod %s yet", p.Name)
			}
			waited[p.UID] = true
		}
		return nil
	})
	for _, do := range prepare {
		do()
	}
	for _, p := range sticks {
		vacate(t, s, p)
	}
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil || len(pods) != n {
			return fmt.Errorf("there are %d pods, want %d: %w", len(pods), n, errors.Join(err))
		}
		for _, p := range pods {
			switch {
			case p.Status.Phase != corev1.PodRunning || kind(&p) != "NPU":
				return fmt.Errorf("pod %s is %s on %s: %s", p.Name, p.Status.Phase, kind(&p), reason(&p))
			case waited[p.UID] != (p.Annotations["heteroaccel.io/readmissions"] == ""):
				return fmt.Errorf("pod %s counts %q re-admissions", p.Name, p.Annotations["heteroaccel.io/readmissions"])
			case !waited[p.UID] && createdFirst(&p) != first:
				return fmt.Errorf("pod %s was created first: %v, want %v", p.Name, createdFirst(&p), first)
			}
		}
		return nothingMarked(ctx, s)
	})
}

// nothingMarked checks that no pod is left on the way, and none is told to go
// first.
func nothingMarked(ctx context.Context, s *stack.Stack) error {
	pods, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, p := range pods.Items {
		switch {
		case p.Labels["heteroaccel.io/successor"] != "" || p.Annotations["heteroaccel.io/successor"] != "":
			return fmt.Errorf("pod %s is still marked", p.Name)
		case p.Annotations[corev1.PodDeletionCost] != "":
			return fmt.Errorf("pod %s is still to be deleted first", p.Name)
		}
	}
	return nil
}

// meanwhile are what others may do to a Deployment while the next pod of it is
// created, bound, and adopted; each returns what is to be seen in the end.
var meanwhile = map[string]func(t *testing.T, s *stack.Stack, gpu *corev1.Pod, before *corev1.Pod) (want func(context.Context) error){
	"the GPU frees": func(t *testing.T, s *stack.Stack, gpu, before *corev1.Pod) func(context.Context) error {
		vacate(t, s, gpu)
		eventually(t, func(ctx context.Context) error {
			p, err := s.Client().CoreV1().Pods(before.Namespace).Get(ctx, before.Name, metav1.GetOptions{})
			if err == nil && p.Spec.NodeName == "" {
				err = errors.New("the pod that waited is not bound")
			}
			return err
		})
		return func(ctx context.Context) error {
			pods, err := waits(ctx, s)
			if err == nil && (len(pods) != 1 || pods[0].Status.Phase != corev1.PodRunning) {
				err = fmt.Errorf("there are %d pods, want one that runs", len(pods))
			}
			return err
		}
	},
	"scaled to none": func(t *testing.T, s *stack.Stack, _, _ *corev1.Pod) func(context.Context) error {
		kubectl(t, s, "scale", "deployment/waits", "--replicas=0")
		return none(s)
	},
	"deleted": func(t *testing.T, s *stack.Stack, _, _ *corev1.Pod) func(context.Context) error {
		kubectl(t, s, "delete", "deployment/waits")
		return none(s)
	},
	"rolled out": func(t *testing.T, s *stack.Stack, _, _ *corev1.Pod) func(context.Context) error {
		kubectl(t, s, "set", "env", "deployment/waits", "NEW=yes")
		return func(ctx context.Context) error {
			pods, err := waits(ctx, s)
			if err != nil || len(pods) != 1 {
				return fmt.Errorf("there are %d pods, want 1: %w", len(pods), errors.Join(err))
			}
			for _, e := range pods[0].Spec.Containers[0].Env {
				if e.Name == "NEW" {
					return runsOnce(ctx, s)
				}
			}
			return fmt.Errorf("pod %s is of the old template", pods[0].Name)
		}
	},
}

func none(s *stack.Stack) func(context.Context) error {
	return func(ctx context.Context) error {
		pods, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("there are %d pods, want none", len(pods.Items))
		}
		return err
	}
}

// TestCreatedFirstRaces: whatever others do to a Deployment between any two
// steps, in the end it has the pods it is to have and none is left besides.
func TestCreatedFirstRaces(t *testing.T) {
	s := borrow(t, unattended)
	steps := []string{"told to go first"}
	if long {
		steps = append(steps, "created", "adopted")
	}
	for name, happens := range meanwhile {
		for _, step := range steps {
			t.Run(name+" before it is "+step, func(t *testing.T) {
				gpu, npu := occupy(t, s, gpuResource), occupy(t, s, stickResource)
				// A rolling update would keep a pod of the old template that runs
				// until one of the new one does, for which there is no device.
				manifest := strings.Replace(waitingOwners["Deployment"], "spec:\n", "spec:\n  strategy: {type: Recreate}\n", 1)
				defer func() {
					deleteOwner(t, s, manifest)
					if name != "the GPU frees" {
						vacate(t, s, gpu)
					}
				}()
				before := waitsFor(t, s, manifest, "GPU")
				reached, proceed := make(chan struct{}), make(chan struct{})
				c := &crash{happened: make(chan struct{})}
				var once atomic.Bool
				c.meanwhile = func(r *http.Request) *http.Response {
					if c.armed.Load() && stepOf(r, &before) == step && once.CompareAndSwap(false, true) {
						close(reached)
						<-proceed
					}
					return nil
				}
				release := sync.OnceFunc(func() { close(proceed) })
				p := begin(t, s, c)
				defer p.stop()
				defer release()
				eventually(t, func(context.Context) error { return looked(c) })
				c.armed.Store(true)
				vacate(t, s, npu)
				select {
				case <-reached:
				case <-time.After(limit):
					t.Fatal("it never came to that")
				}
				check := happens(t, s, gpu, &before)
				release()
				eventually(t, func(ctx context.Context) error { return errors.Join(check(ctx), nothingMarked(ctx, s)) })
			})
		}
	}
	t.Run("adoption refused", func(t *testing.T) { adoptionRefused(t, s) })
}

// stepOf names what a call is for, "" for any other.
func stepOf(r *http.Request, before *corev1.Pod) string {
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pods") && r.URL.Query().Get("dryRun") == "":
		return "created"
	case r.Method != http.MethodPatch:
		return ""
	case strings.HasSuffix(r.URL.Path, "/"+before.Name):
		return "told to go first"
	}
	return "adopted"
}

// adoptionRefused: somebody lets us create the pod, and not have it adopted. It
// is deleted, the pod that waits is untouched, and moves the other way.
func adoptionRefused(t *testing.T, s *stack.Stack) {
	occupy(t, s, gpuResource)
	npu := occupy(t, s, stickResource)
	manifest := waitingOwners["Deployment"]
	defer deleteOwner(t, s, manifest)
	before := waitsFor(t, s, manifest, "GPU")
	var refused atomic.Int64
	c := &crash{happened: make(chan struct{}), meanwhile: func(r *http.Request) *http.Response {
		if stepOf(r, &before) != "adopted" {
			return nil
		}
		body, err := r.GetBody()
		if err != nil {
			t.Error(err)
			return nil
		}
		if change, _ := io.ReadAll(body); !strings.Contains(string(change), "ownerReferences") {
			return nil
		}
		refused.Add(1)
		return &http.Response{
			StatusCode: http.StatusForbidden, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"not by you","reason":"Forbidden","code":403}`)),
		}
	}}
	p := begin(t, s, c)
	defer p.stop()
	vacate(t, s, npu)
	after, _ := runsOn(t, s, "NPU")
	if createdFirst(&after) || refused.Load() != 1 {
		t.Errorf("the pod was created first: %v; its adoption was refused %d times, want once", createdFirst(&after), refused.Load())
	}
	eventually(t, func(ctx context.Context) error { return nothingMarked(ctx, s) })
}
