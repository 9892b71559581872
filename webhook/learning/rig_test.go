package learning_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/servicetime"
	"heteroaccel.io/webhook/learning"
)

var epoch = time.Unix(1_700_000_000, 0)

// rig is a learner over profiles a and b, with variants for GPU and NPU, whose
// writes the test answers.
type rig struct {
	*learning.Learner
	profiles *profile.Store

	mu      sync.Mutex
	leads   error
	now     time.Time
	answer  func(name string) (again bool, err error)
	written map[string]map[accel.Kind]profile.Runs // in all
	writes  []string                               // the profiles, one after another
	wrote   chan struct{}
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{
		profiles: profile.NewStore(), now: epoch,
		written: map[string]map[accel.Kind]profile.Runs{}, wrote: make(chan struct{}, 1000),
	}
	for _, name := range []string{"a", "b"} {
		r.set(t, resourceOf(name, "image"))
	}
	r.Learner = learning.New(learning.Config{
		Profiles: r.profiles, Interval: time.Millisecond, Log: zerolog.New(zerolog.NewTestWriter(t)),
		Now:   func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now },
		Leads: func() error { r.mu.Lock(); defer r.mu.Unlock(); return r.leads },
		Write: r.write,
		// Each node of these tests offers the resource that it is called after.
		Offers: func(node, resource string) bool { return node == resource },
		Codes:  func(inference, namespace string) []string { return []string{namespace + " of " + inference} },
	})
	return r
}

func (r *rig) write(_ context.Context, name string, runs map[accel.Kind]profile.Runs) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.wrote <- struct{}{} }()
	r.writes = append(r.writes, name)
	if r.answer != nil {
		if again, err := r.answer(name); err != nil {
			return again, err
		}
	}
	if r.written[name] == nil {
		r.written[name] = map[accel.Kind]profile.Runs{}
	}
	for kind, one := range runs {
		sum := r.written[name][kind]
		if sum.By == nil {
			sum.By = map[string]servicetime.Estimate{}
		}
		sum.Hash = one.Hash
		for namespace, e := range one.By {
			sum.By[namespace] = sum.By[namespace].Append(e)
		}
		r.written[name][kind] = sum
	}
	return false, nil
}

// flush runs the learner until it was stopped, which writes what is left.
func (r *rig) flush(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// runsWritten is how many runs were written of a profile's kind.
func (r *rig) runsWritten(name string, kind accel.Kind) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var runs int64
	for _, e := range r.written[name][kind].By {
		runs += e.Runs
	}
	return runs
}

// in is what was written of a profile's kind and a namespace.
func (r *rig) in(namespace, name string, kind accel.Kind) servicetime.Estimate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.written[name][kind].By[namespace+" of "+name]
}

func (r *rig) set(t *testing.T, in *v1alpha1.InferenceProfile) {
	t.Helper()
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	r.profiles.Set(p)
}

func resourceOf(name, image string) *v1alpha1.InferenceProfile {
	in := &v1alpha1.InferenceProfile{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, kind := range []string{"GPU", "NPU"} {
		in.Spec.Variants = append(in.Spec.Variants, v1alpha1.Variant{
			Accelerator: kind, Image: image,
			Limits: corev1.ResourceList{corev1.ResourceName("x.io/" + kind): resource.MustParse("1")},
		})
	}
	return in
}

// ran is a pod that ended well after two seconds.
func ran(inference string, kind accel.Kind, change ...func(*inventory.Pod)) *inventory.Pod {
	p := &inventory.Pod{
		Namespace: "default", Name: "p", Done: true, Node: "x.io/" + string(kind),
		Needs:   resources.Amounts{Devices: []resources.Devices{{Resource: "x.io/" + string(kind), Count: 1}}},
		Managed: &inventory.Managed{Inference: inference, Kind: kind},
		Run: &inventory.Run{
			Image: "image", Device: string(kind),
			Phase: corev1.PodSucceeded, Created: epoch, Started: epoch, Ended: epoch.Add(2 * time.Second),
			Succeeded: true, Ends: true,
		},
	}
	for _, c := range change {
		c(p)
	}
	return p
}
