//go:build cluster

package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/serving/load"
	"heteroaccel.io/pkg/accel"
)

// rate is how many requests a second are fewer than what the client tries, 50.
const rate = 45

// TestNoRequestIsLost: while a client in a pod asks a Service 50 times a second, each time
// over a new connection, its server is rolled out, moved to the GPU that the rollout kept it
// from, and is not moved where the next pod is never ready. Every request is answered.
func TestNoRequestIsLost(t *testing.T) {
	watchAllocations(t)
	for _, name := range []string{"profile", "server", "load"} {
		manifest := filepath.Join(shared.Root, "e2e", "serving", name+".yaml")
		do(t, shared.Run(t.Context(), "apply", "--server-side", "-f", manifest))
		t.Cleanup(func() { do(t, shared.Run(context.Background(), "delete", "--cascade=foreground", "-f", manifest)) })
		switch name {
		case "profile":
			do(t, shared.Run(t.Context(), "wait", "infp/answers", "--for=condition=Usable", "--timeout=60s"))
		case "server":
			do(t, shared.Rollout(t.Context(), metav1.NamespaceDefault, "deployment/answers"))
		}
	}
	timeline := watchEndpoints(t)
	do(t, shared.Run(t.Context(), "wait", "pod/load", "--for=condition=Ready", "--timeout=60s"))
	first := serverOn(t, "GPU", "")

	do(t, shared.Run(t.Context(), "rollout", "restart", "deployment/answers"))
	moved := serverOn(t, "GPU", first.UID)
	if r := moved.Annotations[accel.ReasonAnnotation]; !strings.HasPrefix(r, "it replaces one that runs on NPU") {
		t.Errorf("its reason is %s", r)
	}
	setTold(t, &moved, "MovedUp", "another pod serves there in its place")
	r := answered(t, timeline)
	if len(r.Answers) != 3 || r.Devices[first.Name] != "GPU" || r.Devices[moved.Name] != "GPU" {
		t.Errorf("the answers are from %v on %v, want three pods: that of before, one on the NPU and the one that was moved to", r.Answers, r.Devices)
	}

	// What it reports of itself is read from the pod meanwhile.
	eventually(t, "how long an answer takes is known", func(ctx context.Context) error {
		text, err := shared.Kubectl(ctx, "get", "infp", "answers", "-o", "jsonpath={range .status.served[*]}{.accelerator} {.load} {.time} {end}")
		if err == nil && !strings.Contains(text, "GPU light ") {
			err = fmt.Errorf("its status has %q", text)
		}
		return err
	})

	do(t, shared.Run(t.Context(), "set", "env", "deployment/answers", "UNREADY_ON=GPU"))
	stays := serverOn(t, "NPU", moved.UID)
	setTold(t, &stays, "NotMovedUp", "was not Ready within 10s")
	if now := serverOn(t, "NPU", ""); now.UID != stays.UID || now.ResourceVersion != stays.ResourceVersion {
		t.Errorf("%s was left alone no more than %s is %s: %v", stays.Name, stays.ResourceVersion, now.ResourceVersion, now.Annotations)
	}
	r = answered(t, timeline)
	if len(r.Answers) != 4 || r.Devices[stays.Name] != "NPU" {
		t.Errorf("the answers are from %v on %v, want one pod more, on the NPU", r.Answers, r.Devices)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		shared.Explain()
		t.Fatal(err)
	}
}

// serverOn waits until there is one pod of the server, Ready on a kind, and it is not the
// one with a UID.
func serverOn(t *testing.T, kind accel.Kind, not types.UID) (pod corev1.Pod) {
	t.Helper()
	eventually(t, "the server is one pod on "+string(kind), func(ctx context.Context) error {
		list, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: "app=answers"})
		if err != nil {
			return err
		}
		if len(list.Items) == 1 {
			pod = list.Items[0]
		}
		ready := func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue }
		if len(list.Items) != 1 || kindOf(pod) != kind || pod.UID == not || !slices.ContainsFunc(pod.Status.Conditions, ready) {
			return fmt.Errorf("its pods are %s", phasesOf(list.Items))
		}
		return nil
	})
	return pod
}

// setTold waits for an Event of a pod's ReplicaSet.
func setTold(t *testing.T, pod *corev1.Pod, reason, note string) {
	t.Helper()
	set := metav1.GetControllerOf(pod).UID
	eventually(t, "an Event "+reason, func(ctx context.Context) error {
		list, err := shared.Client().EventsV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{FieldSelector: "reason=" + reason})
		if err != nil {
			return err
		}
		var notes []string
		for _, e := range list.Items {
			if e.Regarding.UID == set && strings.Contains(e.Note, note) {
				return nil
			}
			notes = append(notes, e.Regarding.Kind+" "+e.Regarding.Name+": "+e.Note)
		}
		return fmt.Errorf("none of its ReplicaSet tells that it %s, but there are %q", note, notes)
	})
}

// answered reads the client's report: it asked often enough, and every request so far was
// answered.
func answered(t *testing.T, timeline func() string) (r load.Report) {
	t.Helper()
	pod, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).Get(t.Context(), "load", metav1.GetOptions{})
	do(t, err)
	body, err := shared.Get(t.Context(), "http://"+pod.Status.PodIP+":8080/")
	do(t, err)
	do(t, json.Unmarshal([]byte(body), &r))
	t.Logf("%d requests in %.1f s, %.1f a second: %d failed, the slowest answer took %.3f s, %v on %v",
		r.Requests, r.Seconds, r.Rate(), r.Failed, r.Slowest, r.Answers, r.Devices)
	if r.Rate() < rate {
		t.Errorf("there were %.1f requests a second, want %d", r.Rate(), rate)
	}
	if r.Failed > 0 {
		shared.Explain()
		t.Errorf("%d requests failed:", r.Failed)
		for _, f := range r.Failures {
			t.Errorf("%s after %.3f s: %s", f.Begin.Format(stamp), f.Took, f.Error)
		}
		t.Logf("the Service's endpoints meanwhile:\n%s", timeline())
	}
	return r
}

// stamp is a time of day to the millisecond.
const stamp = "15:04:05.000"

// watchEndpoints notes what becomes of the Service's endpoints until the test ends: where a
// request failed, that tells whether it was sent to a pod that had gone.
func watchEndpoints(t *testing.T) (timeline func() string) {
	t.Helper()
	watch, err := shared.Client().DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).Watch(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=answers"})
	do(t, err)
	t.Cleanup(watch.Stop)
	var (
		mu   sync.Mutex
		told strings.Builder
	)
	go func() {
		for e := range watch.ResultChan() {
			slice, ok := e.Object.(*discoveryv1.EndpointSlice)
			if !ok {
				continue
			}
			mu.Lock()
			fmt.Fprintf(&told, "%s %s", time.Now().UTC().Format(stamp), e.Type)
			for _, p := range slice.Endpoints {
				c := p.Conditions
				fmt.Fprintf(&told, " %s %v (ready %v, serving %v, terminating %v)", p.TargetRef.Name, p.Addresses, *c.Ready, *c.Serving, *c.Terminating)
			}
			fmt.Fprintln(&told)
			mu.Unlock()
		}
	}()
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return told.String()
	}
}
