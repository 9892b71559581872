package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/webhook/readmit"
	"heteroaccel.io/webhook/readmit/barepod"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/readmit/upgrade"
	against "heteroaccel.io/webhook/refusals"
	"heteroaccel.io/webhook/variant"
)

// crash is a transport over which, from a certain call on, nothing arrives any
// more: what a process has done when it is killed.
type crash struct {
	through http.RoundTripper
	// armed begins the counting: before is how many calls there were until
	// then, calls how many since.
	armed         atomic.Bool
	before, calls atomic.Int64
	// at is the call at which it happens, 0 for never; the call itself is
	// carried out if after is set, and only its answer is lost.
	at    int64
	after bool
	// happened is closed then.
	happened chan struct{}
	// last names the call.
	last atomic.Value
	// meanwhile, if set, is called before each call, for what others do then; an
	// answer of its own stands for the API server's.
	meanwhile func(*http.Request) *http.Response
}

var errCrashed = errors.New("the process is dead")

// wrap has calls go through c.
func (c *crash) wrap(through http.RoundTripper) http.RoundTripper {
	c.through = through
	return c
}

func (c *crash) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.meanwhile != nil {
		if answer := c.meanwhile(r); answer != nil {
			return answer, nil
		}
	}
	if !c.armed.Load() {
		resp, err := c.through.RoundTrip(r)
		c.before.Add(1)
		return resp, err
	}
	n := c.calls.Add(1)
	if c.at == 0 || n < c.at {
		return c.through.RoundTrip(r)
	}
	if n > c.at {
		return nil, errCrashed
	}
	c.last.Store(r.Method + " " + r.URL.Path + "?" + r.URL.RawQuery)
	defer close(c.happened)
	if !c.after {
		return nil, errCrashed
	}
	resp, err := c.through.RoundTrip(r)
	if err == nil {
		resp.Body.Close()
	}
	return nil, errCrashed
}

// process is the part of a webhook that recreates pods, in this process, so
// that it can be killed between any two calls.
type process struct {
	crash *crash
	stop  func()
}

// clients are one that reads and one whose calls crash, with the webhook's own rights and
// under the policies that hold it to them, and the keys of records.
func clients(ctx context.Context, t *testing.T, s *stack.Stack, c *crash) (feed, crashing *kubernetes.Clientset, keys *kube.Keys) {
	t.Helper()
	config := kube.Protobuf(s.RESTAs("heteroaccel-webhook"))
	feed, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	wrapped := rest.CopyConfig(config)
	wrapped.Wrap(c.wrap)
	crashing, err = kubernetes.NewForConfig(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	keys = kube.NewKeys(feed, stack.Namespace, true, zerolog.Nop())
	if err := keys.Wait(ctx, func(err error) { t.Log(err) }); err != nil {
		t.Fatal(err)
	}
	return feed, crashing, keys
}

// begin starts one. The counting begins once it has looked for what an earlier
// one may have left.
func begin(t *testing.T, s *stack.Stack, c *crash) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	feedClient, client, keys := clients(ctx, t, s, c)
	profiles := profile.NewStore()
	times := func(inference string, kind accel.Kind) time.Duration {
		if p, ok := profiles.Get(inference); ok {
			if v := p.Variant(kind); v != nil {
				return v.ServiceTime
			}
		}
		return 0
	}
	inv := inventory.New(inventory.Options{ServiceTime: times})
	feeds := kube.NewFeeds(feedClient, s.Profiles, inv, profiles, keys.Current, func(error) {})
	r := readmit.New(readmit.Config{
		Client: client, Inventory: inv, Options: variant.Source{Profiles: profiles},
		Policy: policy.PricedFinish, Keys: keys.Current, Namespace: stack.Namespace,
		Rules:    choice.Rules{Margin: time.Millisecond, Backoff: time.Second, Patience: time.Minute},
		Upgrades: upgrade.Rules{Factor: 1.5, Ready: time.Minute, PerOwner: 1000, PerCluster: 1000, Backoff: time.Second}, MoveUp: true,
		Recreate: true, BarePods: true, DryRun: true, Suspended: func() bool { return false }, Refusals: against.New(time.Now), Recorder: events.NewFakeRecorder(1000), Registry: prometheus.NewRegistry(), Log: zerolog.Nop(),
	})
	feeds.Pods.Register(kube.OnPod(r.SetPod), r.DeletePod)
	done := make(chan struct{}, 2)
	go func() { _ = feeds.Run(ctx); done <- struct{}{} }()
	go func() {
		if feeds.Refresh(ctx) == nil {
			_ = r.Run(ctx)
		}
		done <- struct{}{}
	}()
	return &process{crash: c, stop: func() {
		cancel()
		<-done
		<-done
	}}
}

// TestReadmissionKilled kills what recreates pods at every call of the API
// server, before and after the call is carried out, and starts it anew: each
// time the pod is there exactly once, and runs on what freed.
func TestReadmissionKilled(t *testing.T) {
	s := borrow(t, unattended)
	occupy(t, s, gpuResource)
	owners := []string{"bare pod"}
	if long {
		owners = append(owners, "Job", "Deployment")
	}
	for _, owner := range owners {
		t.Run(owner, func(t *testing.T) {
			for _, after := range []bool{false, true} {
				for at := int64(1); ; at++ {
					if !killed(t, s, owner, at, after) {
						t.Logf("%s: it takes %d calls", owner, at-1)
						break
					}
				}
			}
		})
	}
}

// killed kills the process at a call; false when there is no such call any
// more.
func killed(t *testing.T, s *stack.Stack, owner string, at int64, after bool) (happened bool) {
	t.Helper()
	npu := occupy(t, s, stickResource)
	manifest := waitingOwners[owner]
	defer deleteOwner(t, s, manifest)
	waitsFor(t, s, manifest, "GPU")
	c := &crash{at: at, after: after, happened: make(chan struct{})}
	first := begin(t, s, c)
	eventually(t, func(context.Context) error { return looked(c) })
	c.armed.Store(true)
	vacate(t, s, npu)
	ran := make(chan error, 1)
	watched, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { ran <- await(watched, func(ctx context.Context) error { return runsOnce(ctx, s) }) }()
	select {
	case <-c.happened:
		happened = true
	case err := <-ran:
		if err != nil {
			t.Fatalf("neither killed at call %d nor done: %v", at, err)
		}
		// The last call, which removes a record, comes after the pod runs.
		if err := await(t.Context(), func(ctx context.Context) error {
			if c.calls.Load() >= c.at {
				return nil
			}
			return nothingLeft(ctx, s)
		}); err != nil {
			t.Fatalf("neither killed at call %d nor done: %v", at, err)
		}
		if happened = c.calls.Load() >= c.at; happened {
			<-c.happened
		}
	}
	first.stop()
	second := begin(t, s, &crash{happened: make(chan struct{})})
	defer second.stop()
	name := "nothing"
	if happened {
		name = c.last.Load().(string)
	}
	if err := await(t.Context(), func(ctx context.Context) error { return errors.Join(runsOnce(ctx, s), nothingLeft(ctx, s)) }); err != nil {
		t.Fatalf("killed at call %d, %s (carried out: %t): %v", at, name, after, err)
	}
	if strings.Contains(owner, "Job") {
		job, err := s.Client().BatchV1().Jobs(metav1.NamespaceDefault).Get(t.Context(), "waits", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		notFailed(t, job)
	}
	return happened
}

// looked waits until the process has looked for records, released pods and pods
// that were created first.
func looked(c *crash) error {
	if n := c.before.Load(); n < int64(len(barepod.RecordNames))+2 {
		return fmt.Errorf("it has made %d calls", n)
	}
	return nil
}

// runsOnce checks that there is exactly one pod, on what freed.
func runsOnce(ctx context.Context, s *stack.Stack) error {
	list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=waits"})
	if err != nil {
		return err
	}
	if len(list.Items) != 1 || kind(&list.Items[0]) != "NPU" || list.Items[0].Spec.NodeName == "" {
		said := make([]string, len(list.Items))
		for i, p := range list.Items {
			said[i] = fmt.Sprintf("%s %s on %q for %s, labels %v", p.Name, p.Status.Phase, p.Spec.NodeName, kind(&p), p.Labels)
		}
		return fmt.Errorf("want one pod that runs on NPU, there are %d: %s", len(said), strings.Join(said, "; "))
	}
	return nil
}

// nothingLeft checks that no record is left, and no pod that was released or
// created first.
func nothingLeft(ctx context.Context, s *stack.Stack) error {
	for _, slot := range barepod.RecordNames {
		if _, err := s.Client().CoreV1().Secrets(stack.Namespace).Get(ctx, slot, metav1.GetOptions{}); err == nil {
			return fmt.Errorf("secret %s is still there", slot)
		}
	}
	for _, label := range []string{accel.ReleasedLabel, accel.SuccessorLabel} {
		list, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: label})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d pods labelled %s are left", len(list.Items), label)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
