package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"heteroaccel.io/e2e/stack"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// renewalsKept: a connector that is killed and started again knows when a session
// was last renewed, however often that was.
func renewalsKept(t *testing.T, s *stack.Stack) {
	c := camera{s, "connector"}
	const ttl = 5 * time.Second
	a := c.create(t, `{"inference":"face-recognition","ttl":"5s"}`, true)
	first := a.Expires
	c.becomes(t, a.ID, func(sessionAnswer) error {
		if _, _, err := c.ask(t.Context(), http.MethodPost, "/v1/sessions/"+a.ID+"/renew", ""); err != nil {
			return err
		}
		at, err := storedRenewal(t.Context(), s, a.ID)
		if err != nil {
			return err
		}
		if at.Before(first) { // the ttl has passed once
			return fmt.Errorf("the last renewal that is stored was at %v", at)
		}
		return nil
	})
	s.Process("connector").Kill()
	if err := s.StartConnector(t.Context(), "connector", sessionFlags...); err != nil {
		t.Fatal(err)
	}
	_, again, err := c.ask(t.Context(), http.MethodGet, "/v1/sessions/"+a.ID, "")
	if err != nil || again.Expires.Before(first.Add(ttl).Truncate(time.Second)) {
		t.Errorf("after the restart it is %+v, %v", again, err)
	}
	c.end(t, a.ID)
}

// storedRenewal is when a session was last renewed as the API server has it.
func storedRenewal(ctx context.Context, s *stack.Stack, id string) (last time.Time, err error) {
	list, err := s.Client().CoordinationV1().Leases(stack.SessionNamespace).List(ctx, metav1.ListOptions{LabelSelector: "heteroaccel.io/session=renewals"})
	if err != nil {
		return last, err
	}
	for _, l := range list.Items {
		var renewed map[string]int64
		if err := json.Unmarshal([]byte(l.Annotations["heteroaccel.io/renewals"]), &renewed); err != nil {
			return last, err
		}
		if at := time.Unix(renewed[id], 0); at.After(last) {
			last = at
		}
	}
	return last, nil
}

// twoConnectors: two replicas take sessions, one is killed in the middle, and
// the other goes on with all of them.
func twoConnectors(t *testing.T, s *stack.Stack) {
	if err := s.StartConnector(t.Context(), "connector-2", sessionFlags...); err != nil {
		t.Fatal(err)
	}
	defer func() { s.Process("connector-2").Kill() }()
	const n = 24
	var mu sync.Mutex
	var made []string
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			c := camera{s, []string{"connector", "connector-2"}[i%2]}
			code, a, err := c.ask(t.Context(), http.MethodPost, "/v1/sessions", `{"inference":"object-detection","accelerator":"cpu","ttl":"10s"}`)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made = append(made, a.ID)
			} else if code != 0 || c.connector == "connector-2" {
				t.Errorf("asking %s: %v", c.connector, err)
			}
			if len(made) == n/3 {
				s.Process("connector").Kill()
			}
		})
	}
	wg.Wait()
	c := camera{s, "connector-2"}
	eventually(t, func(ctx context.Context) error {
		pods, err := servers(ctx, s)
		if err != nil {
			return err
		}
		bySession := map[string]string{}
		serving := 0
		for _, id := range made {
			// What nobody was told of, since the connector was killed, expires.
			_, a, err := c.ask(ctx, http.MethodPost, "/v1/sessions/"+id+"/renew", "")
			if err != nil {
				return err
			}
			if a.State == "serving" {
				if other := bySession[a.Pod]; other != "" {
					return fmt.Errorf("%s and %s share %s", id, other, a.Pod)
				}
				bySession[a.Pod] = id
				serving++
			}
		}
		ready := 0
		for i := range pods {
			if pods[i].Spec.NodeName != "" && pods[i].DeletionTimestamp == nil {
				ready++
			}
		}
		if serving == 0 || serving != min(ready, len(made)) || len(pods) != len(made) {
			return fmt.Errorf("%d sessions, %d served, by %d pods of which %d are bound", len(made), serving, len(pods), ready)
		}
		return nil
	})
	if err := s.StartConnector(t.Context(), "connector", sessionFlags...); err != nil {
		t.Fatal(err)
	}
	for _, id := range made {
		c.end(t, id)
	}
}
