package controller

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/serve/servetest"
)

const (
	leases = "/apis/coordination.k8s.io/v1/namespaces/sessions/leases"
	pods   = "/api/v1/namespaces/sessions/pods"
)

var face = session.Pool{Inference: "face", Accelerator: "any"}

// connected is a controller of an API server, which watches.
func connected(t *testing.T, a *apiServer) *Controller {
	t.Helper()
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: a.URL, QPS: 1000, Burst: 1000,
		ContentConfig: rest.ContentConfig{ContentType: "application/json", AcceptContentTypes: "application/json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	in := &v1alpha1.InferenceProfile{ObjectMeta: metav1.ObjectMeta{Name: "face", UID: "u-p"}}
	in.Spec.Variants = []v1alpha1.Variant{{Accelerator: "GPU", Image: "x", Limits: corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")}}}
	raw, err := json.Marshal(template())
	if err != nil {
		t.Fatal(err)
	}
	in.Spec.Template = &runtime.RawExtension{Raw: raw}
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	profiles := profile.NewStore()
	profiles.Set(p)
	k := New(Config{
		Client: client, Namespace: "sessions", Identity: "a", Profiles: profiles, Reach: session.ReachPodIP,
		Defaults: session.Limits{PerServer: 1, Idle: time.Hour}, Recorder: events.NewFakeRecorder(100),
		Registry: prometheus.NewRegistry(), Log: zerolog.New(zerolog.NewTestWriter(t)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return k
}

func template() *corev1.PodTemplateSpec {
	return &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "inference", Image: "x", Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}}}
}

// readied is a server that can serve.
func readied(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	if pod == nil {
		var err error
		if pod, err = session.Pod(template(), face, session.ReachPodIP, "sessions", "face-x"); err != nil {
			t.Fatal(err)
		}
	}
	pod.UID, pod.Spec.NodeName, pod.Status.PodIP = "u-x", "edge-1", "10.0.0.1"
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return pod
}

// waiting is a session that waits.
func waiting(t *testing.T) *coordinationv1.Lease {
	t.Helper()
	now := time.Now()
	l, err := session.Lease(&session.Session{ID: "s", Client: "c", Pool: face, TTL: time.Hour, Created: now, Renewed: now, UID: "u-s"}, "sessions")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// lead runs a term until what is waited for holds.
func lead(t *testing.T, k *Controller, what string, holds func() bool) {
	t.Helper()
	term, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Lead(term) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	servetest.Eventually(t, what, holds)
}

// served is the server of the one session, as the API server has it.
func served(t *testing.T, k *Controller) string {
	t.Helper()
	l, err := k.Client.CoordinationV1().Leases("sessions").Get(t.Context(), session.LeaseName("s"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

// TestAssignmentIsLost: a session that a term could not give its server in the API
// server has none, and gets it in the next term of the same process.
func TestAssignmentIsLost(t *testing.T) {
	a := newAPIServer(t)
	a.put(pods, readied(t, nil))
	a.put(leases, waiting(t))
	k := connected(t, a)
	a.unanswered["PUT leases"] = false
	lead(t, k, "the session is about to be served", func() bool { return a.written("PUT leases") == 1 })
	if got := served(t, k); got != "" {
		t.Fatalf("%s serves it", got)
	}
	// Its client may ask this replica, whoever leads now.
	k.mu.Lock()
	if s := k.table.Session("s"); s == nil || s.Server != "" {
		t.Errorf("between the terms it is %+v, want it to wait", s)
	}
	k.mu.Unlock()
	lead(t, k, "the session is served", func() bool { return served(t, k) == "face-x" })
	if n := a.count(pods); n != 1 {
		t.Errorf("there are %d servers", n)
	}
}

// TestCreationIsNotAnswered: a server that was created although a term did not learn
// of it is the one that the next term uses.
func TestCreationIsNotAnswered(t *testing.T) {
	a := newAPIServer(t)
	a.put(leases, waiting(t))
	k := connected(t, a)
	a.unanswered["POST pods"] = true
	lead(t, k, "a server is there", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return a.written("POST pods") == 1 && k.table.Servers() == 1 // the watch has shown it
	})
	list, err := k.Client.CoreV1().Pods("sessions").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%v: %d servers", err, len(list.Items))
	}
	lead(t, k, "the session is served", func() bool {
		if served(t, k) == "" && a.count(pods) == 1 {
			a.put(pods, readied(t, &list.Items[0]))
		}
		return served(t, k) == list.Items[0].Name
	})
	if n := a.written("POST pods"); n != 1 {
		t.Errorf("%d servers were created for one session", n)
	}
}

// TestAnotherLedBetween: what another replica did between two terms of this one
// counts, although no watch has told of it.
func TestAnotherLedBetween(t *testing.T) {
	a := newAPIServer(t)
	a.put(leases, waiting(t))
	k := connected(t, a)
	lead(t, k, "a server is there", func() bool { return a.count(pods) == 1 })
	list, err := k.Client.CoreV1().Pods("sessions").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%v: %d servers", err, len(list.Items))
	}
	l, err := k.Client.CoordinationV1().Leases("sessions").Get(t.Context(), session.LeaseName("s"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.Spec.HolderIdentity = new("face-y")
	pod := readied(t, nil)
	pod.Name = "face-y"
	a.stall()
	a.put(pods, pod)
	a.put(leases, l)
	lead(t, k, "the server is known", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		s := k.table.Session("s")
		return k.term != nil && k.table.Server("face-y") != nil && s != nil && s.Server == "face-y"
	})
	if got := served(t, k); got != "face-y" {
		t.Errorf("%s serves it", got)
	}
	if n := a.written("POST pods"); n != 1 {
		t.Errorf("%d servers were created for one session", n)
	}
}

// TestSessionsThatChangedAreNotEnded: what a leader of the past takes to have
// expired stays, if another has served it since.
func TestSessionsThatChangedAreNotEnded(t *testing.T) {
	a := newAPIServer(t)
	l := waiting(t)
	a.put(leases, l)
	k := connected(t, a)
	var old *session.Session
	servetest.Eventually(t, "the session is known", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		old = k.table.Session("s")
		return old != nil
	})
	a.stall()
	l.Spec.HolderIdentity = new("face-y")
	a.put(leases, l)
	for _, left := range []int{1, 0} {
		k.mu.Lock()
		k.endLocked(t.Context(), old)
		k.mu.Unlock()
		k.writes.Wait()
		if n := a.count(leases); n != left {
			t.Errorf("%d sessions are left, want %d", n, left)
		}
		now, err := k.read(t.Context(), "s")
		if left == 1 && err != nil {
			t.Fatal(err)
		}
		old = now
	}
}
