package claim

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/readmit/podtest"
	"heteroaccel.io/webhook/refusals"
)

// rig is a claimer of one pod, whose API server keeps nothing of a dry run.
type rig struct {
	*Claimer
	api  *fake.Clientset
	pods *pending.Pods
	pod  *corev1.Pod
	said *events.FakeRecorder
	// during, if set, is called as the next claim is created.
	during func()

	mu sync.Mutex
	// calls are those that the API server got.
	calls []string
	// answers, by call, are errors that it answers.
	answers map[string]error
}

func newRig(t *testing.T, kind accel.Kind) *rig {
	t.Helper()
	r := &rig{pods: pending.NewPods(podtest.CurrentKeys), said: events.NewFakeRecorder(100), answers: map[string]error{}}
	r.pod = podtest.AdmittedLate(t, "p", "r", kind)
	r.api = fake.NewClientset(r.pod.DeepCopy())
	r.api.PrependReactor("*", "*", r.react)
	r.Claimer = New(Config{
		Pods: &podapi.Client{Interface: r.api, Log: zerolog.Nop()}, Options: podtest.LateSource(t), Refusals: refusals.New(time.Now),
		Pending: r.pods.Get, All: r.pods.All, Keys: podtest.CurrentKeys, Wake: func() {}, Recorder: r.said,
		Created: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "created"}, []string{"outcome"}),
	}, NewClaims())
	r.shown(t)
	return r
}

// react notes a call, as "dry create resourceclaims", and answers those that it must not
// carry out.
func (r *rig) react(a clienttesting.Action) (handled bool, out runtime.Object, err error) {
	call, dry := a.GetVerb()+" "+a.GetResource().Resource, false
	switch a := a.(type) {
	case clienttesting.CreateActionImpl:
		dry, out = len(a.CreateOptions.DryRun) > 0, a.Object
	case clienttesting.PatchActionImpl:
		dry, out = len(a.PatchOptions.DryRun) > 0, &corev1.Pod{}
	}
	if sub := a.GetSubresource(); sub != "" {
		call += "/" + sub
	}
	if dry {
		call = "dry " + call
	}
	if during := r.during; during != nil && call == "create resourceclaims" {
		r.during = nil
		during()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
	return dry || r.answers[call] != nil, out, r.answers[call]
}

// shown has the feeds show what the API server has.
func (r *rig) shown(t *testing.T) *pending.Pod {
	t.Helper()
	r.pods.Set(r.livePod(t), time.Now())
	p := r.pods.Get(r.key())
	if p == nil {
		t.Fatal("the pod is not pending")
	}
	if c := r.liveClaim(t); c != nil {
		r.known.Set(c)
	} else {
		r.known.Delete(claimOf(p))
	}
	return p
}

func (r *rig) key() types.NamespacedName { return types.NamespacedName{Namespace: "ns", Name: "p"} }

func (r *rig) livePod(t *testing.T) *corev1.Pod {
	t.Helper()
	o, err := r.api.Tracker().Get(corev1.SchemeGroupVersion.WithResource("pods"), "ns", "p")
	if err != nil {
		t.Fatal(err)
	}
	return o.(*corev1.Pod)
}

var claims = resourcev1.SchemeGroupVersion.WithResource("resourceclaims")

func (r *rig) claimName() string { return *r.pod.Spec.ResourceClaims[0].ResourceClaimName }

// liveClaim is the pod's claim, nil if there is none.
func (r *rig) liveClaim(t *testing.T) *resourcev1.ResourceClaim {
	t.Helper()
	o, err := r.api.Tracker().Get(claims, "ns", r.claimName())
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return o.(*resourcev1.ResourceClaim)
}

// has adds a claim to the API server.
func (r *rig) has(t *testing.T, c *resourcev1.ResourceClaim) {
	t.Helper()
	if err := r.api.Tracker().Create(claims, c, "ns"); err != nil {
		t.Fatal(err)
	}
}

// claimFor checks which kind the pod's claim is for.
func (r *rig) claimFor(t *testing.T, kind accel.Kind) {
	t.Helper()
	c := r.liveClaim(t)
	if c == nil {
		t.Errorf("it has no claim, want one for %s", kind)
	} else if o := metav1.GetControllerOf(c); o == nil || o.UID != r.pod.UID || c.Spec.Devices.Requests[0].Name != requestName(kind) {
		t.Errorf("its claim is %+v of %v, want one for %s", c.Spec.Devices.Requests, o, kind)
	}
}

// is checks which kind the pod is of, by its image and its annotation.
func (r *rig) is(t *testing.T, kind accel.Kind) {
	t.Helper()
	p := r.livePod(t)
	image, selected := p.Spec.Containers[0].Image, p.Annotations[accel.SelectedAnnotation]
	if image != "face:"+strings.ToLower(string(kind)) || selected != string(kind) {
		t.Errorf("it has image %s and is of %s, want %s", image, selected, kind)
	}
	if given, _ := record.Of(p.Annotations, p.Namespace, podtest.Keys); !given.FirstAdmitted.Equal(podtest.FirstAdmitted) {
		t.Errorf("its deadline counts from %s, want %s, whatever it was moved to", given.FirstAdmitted, podtest.FirstAdmitted)
	}
}

// took returns the calls since the last time.
func (r *rig) took() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	took := r.calls
	r.calls = nil
	return took
}

// told returns the Events since the last time.
func (r *rig) told() (all []string) {
	for {
		select {
		case e := <-r.said.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

func denied(message string) error {
	return apierrors.NewForbidden(schema.GroupResource{Group: resourcev1.GroupName, Resource: "resourceclaims"}, "c", errors.New(message))
}
