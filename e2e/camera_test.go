package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// camera is a client of the connector.
type camera struct {
	s         *stack.Stack
	connector string // the replica that it asks
}

// sessionAnswer is what a camera reads of a session.
type sessionAnswer struct {
	ID, State, Address, Node, Kind, Pod, Reason string
	Position, Waiting, Moves                    int
	Device                                      *string
	Expires                                     time.Time
}

func (c camera) ask(ctx context.Context, method, path, body string, header ...string) (int, sessionAnswer, error) {
	var a sessionAnswer
	r, err := http.NewRequestWithContext(ctx, method, c.s.URL(c.connector, path), strings.NewReader(body))
	if err != nil {
		return 0, a, err
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, a, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, a, err
	}
	if resp.StatusCode >= 300 {
		return resp.StatusCode, a, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, content)
	}
	if len(content) > 0 {
		err = json.Unmarshal(content, &a)
	}
	return resp.StatusCode, a, err
}

// create asks for a session, and waits for a server where it is told to.
func (c camera) create(t *testing.T, body string, wait bool) sessionAnswer {
	t.Helper()
	var header []string
	if wait {
		header = []string{"Prefer", "wait=60"}
	}
	_, a, err := c.ask(t.Context(), http.MethodPost, "/v1/sessions", body, header...)
	if err != nil {
		t.Fatal(err)
	}
	if wait && a.State != "serving" {
		t.Fatalf("no server after a minute: %+v", a)
	}
	return a
}

func (c camera) end(t *testing.T, id string) {
	t.Helper()
	if _, _, err := c.ask(t.Context(), http.MethodDelete, "/v1/sessions/"+id, ""); err != nil {
		t.Error(err)
	}
}

// becomes waits until a session is as check wants it.
func (c camera) becomes(t *testing.T, id string, check func(sessionAnswer) error) (a sessionAnswer) {
	t.Helper()
	eventually(t, func(ctx context.Context) (err error) {
		if _, a, err = c.ask(ctx, http.MethodGet, "/v1/sessions/"+id, ""); err != nil {
			return err
		}
		return check(a)
	})
	return a
}

func served(a sessionAnswer) error {
	if a.State != "serving" || a.Address == "" {
		return fmt.Errorf("it is not served: %+v", a)
	}
	return nil
}

// servers are the pods of the connector.
func servers(ctx context.Context, s *stack.Stack) ([]corev1.Pod, error) {
	list, err := s.Client().CoreV1().Pods(stack.SessionNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// noServers waits until the connector has no pod and no session any more.
func noServers(t *testing.T, s *stack.Stack) {
	t.Helper()
	eventually(t, func(ctx context.Context) error { return nothingServed(ctx, s) })
}

func nothingServed(ctx context.Context, s *stack.Stack) error {
	pods, err := servers(ctx, s)
	if err != nil {
		return err
	}
	leases, err := s.Client().CoordinationV1().Leases(stack.SessionNamespace).List(ctx, metav1.ListOptions{LabelSelector: "heteroaccel.io/session=session"})
	if err != nil {
		return err
	}
	if len(pods)+len(leases.Items) > 0 {
		return fmt.Errorf("%d servers and %d sessions are left", len(pods), len(leases.Items))
	}
	return nil
}
