package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/connector/session"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// BenchmarkSessions measures, in one run, how long a client waits for the
// address of a cold and of a warm server, how long the same pod takes that is
// created by hand, and a Lease, which is the one write of a warm session.
func BenchmarkSessions(b *testing.B) {
	const rounds = 25
	s := benchStack(b, machine.Paper(), "--idle-timeout=0s")
	c := camera{s, "connector"}
	const ask = `{"inference":"face-recognition","accelerator":"gpu"}`
	var byHand, cold, warm, lease []time.Duration
	for i := range rounds {
		byHand = append(byHand, createdByHand(b, s, i))
		began := time.Now()
		id := benchSession(b, c, ask)
		cold = append(cold, time.Since(began))
		endSession(b, c, id)
		vacant(b, s)
	}
	s.Process("connector").Stop()
	if err := s.StartConnector(b.Context(), "connector", "--idle-timeout=1m"); err != nil {
		b.Fatal(err)
	}
	endSession(b, c, benchSession(b, c, ask))
	for range rounds {
		began := time.Now()
		id := benchSession(b, c, ask)
		warm = append(warm, time.Since(began))
		lease = append(lease, leaseByHand(b, s, id))
		endSession(b, c, id)
	}
	b.ReportMetric(milliseconds(byHand), "by-hand-p50-ms")
	b.ReportMetric(milliseconds(cold), "cold-p50-ms")
	b.ReportMetric(milliseconds(cold)-milliseconds(byHand), "cold-over-by-hand-ms")
	b.ReportMetric(milliseconds(warm), "warm-p50-ms")
	b.ReportMetric(milliseconds(lease), "lease-by-hand-p50-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRenewals keeps 10,000 sessions, each renewed every 30 s, for a minute
// and a half, and counts what the API server is asked to write.
func BenchmarkRenewals(b *testing.B) {
	const sessions, servers, every, length = 10_000, 10, 30 * time.Second, 90 * time.Second
	s := benchStack(b, machine.Fleet(1, machine.Shape{GPUs: servers, Cores: 8}), "--max-sessions-per-client=20000", "--max-requests-per-second=100000", "--max-requests-burst=100000")
	shareServers(b, s, "face-recognition", sessions/servers)
	c := camera{s, "connector"}
	ids := make([]string, sessions)
	began := time.Now()
	fill(b, sessions, func(ctx context.Context, i int) error {
		_, a, err := c.ask(ctx, http.MethodPost, "/v1/sessions", `{"inference":"face-recognition","ttl":"10m"}`)
		ids[i] = a.ID
		return err
	})
	b.ReportMetric(sessions/time.Since(began).Seconds(), "created/s")
	before, start := writes(b, s), time.Now()
	for round := range int(length / every) {
		if err := c.renewAll(b.Context(), ids, 16); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start) - time.Duration(round)*every
		b.ReportMetric(sessions/took.Seconds(), "renewals/s")
		<-time.After(every - took) // the pace is what is measured
	}
	b.ReportMetric((writes(b, s)-before)/time.Since(start).Seconds(), "writes/s")
	b.ReportMetric(0, "ns/op")
}

// benchStack runs an installation with a connector, without the race detector.
func benchStack(b *testing.B, machines []*machine.Machine, flags ...string) *stack.Stack {
	b.Helper()
	s, err := stack.Start(b.Context(), stack.Config{Machines: machines})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Stop)
	if err := s.InstallConnector(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := s.StartConnector(b.Context(), "connector", flags...); err != nil {
		b.Fatal(err)
	}
	return s
}

// createdByHand creates the pod that a session would have, waits until it is
// ready, and deletes it.
func createdByHand(b *testing.B, s *stack.Stack, i int) time.Duration {
	b.Helper()
	profile, err := s.Profiles.Get(b.Context(), "face-recognition", metav1.GetOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var template corev1.PodTemplateSpec
	if err := json.Unmarshal(profile.Spec.Template.Raw, &template); err != nil {
		b.Fatal(err)
	}
	pod, err := session.Pod(&template, session.Pool{Inference: "face-recognition", Accelerator: "gpu"}, session.ReachPodIP, metav1.NamespaceDefault, fmt.Sprint("by-hand-", i))
	if err != nil {
		b.Fatal(err)
	}
	pods := s.Client().CoreV1().Pods(metav1.NamespaceDefault)
	began := time.Now()
	if _, err := pods.Create(b.Context(), pod, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	w, err := pods.Watch(b.Context(), metav1.SingleObject(metav1.ObjectMeta{Name: pod.Name}))
	if err != nil {
		b.Fatal(err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		seen, ok := e.Object.(*corev1.Pod)
		if !ok {
			b.Fatalf("watch of the pod: %v", e.Object)
		}
		if v, err := session.OfPod(seen); err != nil {
			b.Fatal(err)
		} else if v.Phase == session.Ready {
			break
		}
	}
	took := time.Since(began)
	if err := pods.Delete(b.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		b.Fatal(err)
	}
	vacant(b, s)
	return took
}

// leaseByHand copies a session's Lease.
func leaseByHand(b *testing.B, s *stack.Stack, id string) time.Duration {
	b.Helper()
	leases := s.Client().CoordinationV1().Leases(stack.SessionNamespace)
	l, err := leases.Get(b.Context(), session.LeaseName(id), metav1.GetOptions{})
	if err != nil {
		b.Fatal(err)
	}
	l.ObjectMeta = metav1.ObjectMeta{Name: "by-hand-" + id, Annotations: l.Annotations}
	began := time.Now()
	if _, err := leases.Create(b.Context(), l, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// vacant waits until no pod is left and no device is held: the next pod must not
// wait for the one before it.
func vacant(b *testing.B, s *stack.Stack) {
	b.Helper()
	if err := await(b.Context(), func(ctx context.Context) error {
		list, err := s.Client().CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) > 0 {
			return fmt.Errorf("%d pods are left", len(list.Items))
		}
		return awaitIdle(ctx, s)
	}); err != nil {
		b.Fatal(err)
	}
}

// benchSession asks for a session and waits for its server.
func benchSession(b *testing.B, c camera, body string) (id string) {
	b.Helper()
	_, a, err := c.ask(b.Context(), http.MethodPost, "/v1/sessions", body, "Prefer", "wait=60")
	if err == nil {
		err = served(a)
	}
	if err != nil {
		b.Fatal(err)
	}
	return a.ID
}

func endSession(b *testing.B, c camera, id string) {
	b.Helper()
	if _, _, err := c.ask(b.Context(), http.MethodDelete, "/v1/sessions/"+id, ""); err != nil {
		b.Fatal(err)
	}
}

// renewAll renews sessions, a number at a time.
func (c camera) renewAll(ctx context.Context, ids []string, clients int) error {
	next, failed := make(chan string), make(chan error, clients)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for id := range next {
				if _, _, err := c.ask(ctx, http.MethodPost, "/v1/sessions/"+id+"/renew", ""); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for _, id := range ids {
		next <- id
	}
	close(next)
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// shareServers lets each server of an inference take a number of sessions.
func shareServers(b *testing.B, s *stack.Stack, inference string, sessions int32) {
	b.Helper()
	patch := fmt.Sprintf(`{"spec":{"sessionsPerPod":%d}}`, sessions)
	if said, err := s.Kubectl(b.Context(), "patch", "inferenceprofile", inference, "--type=merge", "-p", patch); err != nil {
		b.Fatalf("%v: %s", err, said)
	}
}

// writes counts what the API server was asked to write of Leases, by whomever.
func writes(b *testing.B, s *stack.Stack) (n float64) {
	b.Helper()
	text, err := s.Kubectl(b.Context(), "get", "--raw", "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	values, err := stack.ParseMetrics(text)
	if err != nil {
		b.Fatal(err)
	}
	for name, value := range values {
		if !strings.HasPrefix(name, "apiserver_request_total{") || !strings.Contains(name, `resource="leases"`) {
			continue
		}
		for _, verb := range []string{"POST", "PUT", "PATCH", "DELETE"} {
			if strings.Contains(name, `verb="`+verb+`"`) {
				n += value
			}
		}
	}
	return n
}

func milliseconds(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}
