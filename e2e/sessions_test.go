package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// sessionFlags are those of the connectors in TestSessions.
var sessionFlags = []string{"--idle-timeout=1s", "--max-requests-per-second=1000", "--max-requests-burst=1000"}

// TestSessions: cameras ask for inferences and get addresses.
func TestSessions(t *testing.T) {
	s := borrow(t, paper)
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.StartConnector(t.Context(), "connector", sessionFlags...); err != nil {
		t.Fatal(err)
	}
	defer func() { s.Process("connector").Kill() }() // it was started anew meanwhile
	for _, scene := range []shared{
		{"four inferences", fourSessions},
		{"ended at once", endedAtOnce},
		{"in order", sessionsInOrder},
		{"a camera vanishes", cameraVanishes},
		{"warm", warmSession},
		{"a server dies", serverDies},
		{"killed", connectorKilled},
		{"renewals are kept", renewalsKept},
		{"webhook away", sessionWithoutWebhook},
		{"two replicas", twoConnectors},
	} {
		t.Run(scene.name, func(t *testing.T) {
			scene.run(t, s)
			noServers(t, s)
		})
	}
}

// fourSessions: each of the paper's four inferences gets an address, each on
// another kind.
func fourSessions(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	kinds := map[string]bool{}
	began := time.Now()
	for _, inference := range []string{"face-recognition", "action-recognition", "text-recognition", "object-detection"} {
		a := c.create(t, fmt.Sprintf(`{"inference":%q}`, inference), true)
		if a.Address == "" || a.Reason == "" || a.Node == "" {
			t.Errorf("%s: %+v", inference, a)
		}
		kinds[a.Kind] = true
		t.Logf("%s: %s on %s after %s", inference, a.Kind, a.Node, time.Since(began))
		defer c.end(t, a.ID)
		if a.Kind == "GPU" {
			c.becomes(t, a.ID, func(a sessionAnswer) error {
				if a.Device == nil || *a.Device != "0000:00:02.0" {
					return errors.New("telemetry does not show its device")
				}
				return nil
			})
		}
	}
	if len(kinds) != 4 {
		t.Errorf("they run on %v, want four kinds", kinds)
	}
}

// endedAtOnce: a session that ends as soon as it has a server stays ended,
// although its server is only just being written.
func endedAtOnce(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	for range 20 {
		c.end(t, c.create(t, `{"inference":"face-recognition","ttl":"1h"}`, true).ID)
	}
	var waiting sync.WaitGroup
	for range 4 {
		waiting.Go(func() {
			// Ended while it waits, or while it gets its server.
			for range 10 {
				c.end(t, c.create(t, `{"inference":"text-recognition","ttl":"1h"}`, false).ID)
			}
		})
	}
	waiting.Wait()
}

// sessionsInOrder: of five sessions for one GPU one is served and the others
// wait, and are served one after another.
func sessionsInOrder(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	const ask = `{"inference":"face-recognition","accelerator":"gpu"}`
	all := []sessionAnswer{c.create(t, ask, true)}
	for range 4 {
		all = append(all, c.create(t, ask, false))
	}
	urgent := c.create(t, `{"inference":"face-recognition","accelerator":"gpu","priority":5}`, false)
	all = slices.Insert(all, 1, urgent)
	for i, a := range all[1:] {
		c.becomes(t, a.ID, func(a sessionAnswer) error {
			if a.State != "waiting" || a.Position != i+1 || a.Waiting != 5 {
				return fmt.Errorf("%+v, want it to wait at %d of 5", a, i+1)
			}
			return nil
		})
	}
	for i, a := range all {
		c.becomes(t, a.ID, served)
		for _, later := range all[i+1:] {
			if _, b, err := c.ask(t.Context(), http.MethodGet, "/v1/sessions/"+later.ID, ""); err != nil || b.State != "waiting" {
				t.Errorf("session %d is served: the one after the %dth waits no more: %+v, %v", i, i, b, err)
			}
		}
		c.end(t, a.ID)
	}
}

// cameraVanishes: who does not renew frees the device for who waits.
func cameraVanishes(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	first := c.create(t, `{"inference":"face-recognition","accelerator":"gpu","ttl":"5s"}`, true)
	second := c.create(t, `{"inference":"face-recognition","accelerator":"gpu"}`, false)
	if _, renewed, err := c.ask(t.Context(), http.MethodPost, "/v1/sessions/"+first.ID+"/renew", ""); err != nil || !renewed.Expires.After(first.Expires) {
		t.Errorf("renewed: %+v, %v", renewed, err)
	}
	c.becomes(t, second.ID, served)
	if code, _, _ := c.ask(t.Context(), http.MethodGet, "/v1/sessions/"+first.ID, ""); code != http.StatusNotFound {
		t.Errorf("the session that was not renewed is %d", code)
	}
	c.end(t, second.ID)
}

// warmSession: a server that is there already serves the next one at once.
func warmSession(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	const ask = `{"inference":"text-recognition"}`
	first := c.create(t, ask, true)
	c.end(t, first.ID)
	second := c.create(t, ask, false)
	if second.State != "serving" || second.Pod != first.Pod {
		t.Errorf("%+v, want it served by %s at once", second, first.Pod)
	}
	c.end(t, second.ID)
}

// serverDies: the same session gets another address.
func serverDies(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	first := c.create(t, `{"inference":"face-recognition"}`, true)
	now := int64(0)
	if err := s.Client().CoreV1().Pods(stack.SessionNamespace).Delete(t.Context(), first.Pod, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	moved := c.becomes(t, first.ID, func(a sessionAnswer) error {
		if a.Pod == first.Pod || a.Moves != 1 {
			return fmt.Errorf("it has not moved: %+v", a)
		}
		return served(a)
	})
	c.end(t, moved.ID)
}

// connectorKilled: sessions and servers outlive the connector.
func connectorKilled(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	first := c.create(t, `{"inference":"face-recognition","accelerator":"gpu"}`, true)
	second := c.create(t, `{"inference":"face-recognition","accelerator":"gpu"}`, false)
	s.Process("connector").Kill()
	if err := s.StartConnector(t.Context(), "connector", sessionFlags...); err != nil {
		t.Fatal(err)
	}
	if a := c.becomes(t, first.ID, served); a.Pod != first.Pod || a.Moves != 0 {
		t.Errorf("after the restart %+v, want it where it was: %s", a, first.Pod)
	}
	c.end(t, first.ID)
	c.becomes(t, second.ID, served)
	c.end(t, second.ID)
}

// sessionWithoutWebhook: the session waits and says why, and is served once the
// webhook is there again.
func sessionWithoutWebhook(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	s.Process("webhook").Kill()
	a := c.create(t, `{"inference":"face-recognition"}`, false)
	c.becomes(t, a.ID, func(a sessionAnswer) error {
		if a.State != "waiting" || !strings.Contains(a.Reason, "webhook") {
			return fmt.Errorf("it does not say that the webhook is away: %+v", a)
		}
		return nil
	})
	if err := s.StartWebhook(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.becomes(t, a.ID, served)
	c.end(t, a.ID)
}
