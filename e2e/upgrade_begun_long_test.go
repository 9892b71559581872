//go:build long

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/faults/apiproxy"
	"heteroaccel.io/e2e/stack"
)

// goesOn has the webhook of the revision before killed in the middle of recreating a pod,
// as its last call was carried out, and one of this revision start: the pod is there
// once, and nothing else is left. Then the revision before is installed again. It
// returns what holds the stick at the end.
func goesOn(t *testing.T, s *stack.Stack, r revisions, stick *corev1.Pod) *corev1.Pod {
	cert, key, err := s.Certificate("proxy-webhook", "127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := apiproxy.Start(apiproxy.Config{API: s.REST(), CA: s.CA(), Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	for _, tc := range []struct {
		owner, call string
		// left is what is there then, and nowhere else.
		left func(context.Context, *stack.Stack) error
	}{
		{"bare pod", "create secrets", hasRecord},
		{"bare pod", "delete pods", hasRecord},
		{"Job", "patch pods", nil},
		{"Deployment", "create pods", nil},
	} {
		t.Run(tc.owner+", "+tc.call, func(t *testing.T) {
			s.Process("webhook").Stop()
			s.Through("webhook", proxy.URL())
			if err := s.StartWebhook(t.Context()); err != nil {
				t.Fatal(err)
			}
			waitsFor(t, s, waitingOwners[tc.owner], "GPU")
			killed := make(chan struct{})
			proxy.Set(killAfter(s, tc.call, killed))
			vacate(t, s, stick)
			select {
			case <-killed:
			case <-time.After(limit):
				t.Fatalf("the webhook was not killed at %q: %v", tc.call, proxy.Calls())
			}
			proxy.Set(nil)
			if tc.left != nil {
				if err := tc.left(t.Context(), s); err != nil {
					t.Error(err)
				}
			}
			if err := nothingLeft(t.Context(), s); err == nil {
				t.Error("the webhook was killed before it had begun")
			}
			if err := s.Upgrade(t.Context(), r.now.Root, r.now.Programs); err != nil {
				t.Fatal(err)
			}
			s.Through("webhook", "")
			if err := s.StartWebhook(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, func(ctx context.Context) error { return errors.Join(runsOnce(ctx, s), nothingLeft(ctx, s)) })
			if tc.owner == "Job" {
				job, err := s.Client().BatchV1().Jobs(metav1.NamespaceDefault).Get(t.Context(), "waits", metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				notFailed(t, job)
			}
			deleteOwner(t, s, waitingOwners[tc.owner])
			stick = occupy(t, s, stickResource)
			s.Process("webhook").Stop()
			if err := s.Upgrade(t.Context(), r.before.Root, r.before.Programs); err != nil {
				t.Fatal(err)
			}
			if err := s.StartWebhook(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	return stick
}

// killAfter kills the webhook once a call of a sort was carried out.
func killAfter(s *stack.Stack, call string, killed chan<- struct{}) apiproxy.Fault {
	return func(_ context.Context, c apiproxy.Call, send apiproxy.Send) (*http.Response, error) {
		resp, err := send()
		if err != nil || c.String() != call || resp.StatusCode >= http.StatusMultipleChoices || s.Process("webhook").Ended() {
			return resp, err
		}
		resp.Body.Close()
		s.Process("webhook").Kill()
		close(killed)
		return nil, errors.New("the process is dead")
	}
}

// hasRecord checks that a record of a bare pod is stored.
func hasRecord(ctx context.Context, s *stack.Stack) error {
	list, err := s.Client().CoreV1().Secrets(stack.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=heteroaccel.io/readmission"})
	if err == nil && len(list.Items) != 1 {
		err = fmt.Errorf("%d records are stored, want 1", len(list.Items))
	}
	return err
}

// openSessions are one that is served, and one that waits for the same device.
type openSessions struct {
	s               *stack.Stack
	connector       string
	served, waiting sessionAnswer
}

func openBoth(t *testing.T, s *stack.Stack) *openSessions {
	t.Helper()
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.StartConnector(t.Context(), "connector", sessionFlags...); err != nil {
		t.Fatal(err)
	}
	c := camera{s, "connector"}
	const ask = `{"inference":"face-recognition","accelerator":"fpga","ttl":"1h"}`
	return &openSessions{s, "connector", c.create(t, ask, true), c.create(t, ask, false)}
}

// moveTo has a connector of this revision start beside the old one, which then ends:
// each session is as it was.
func (o *openSessions) moveTo(t *testing.T, connector string) {
	t.Helper()
	if err := o.s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.s.StartConnector(t.Context(), connector, sessionFlags...); err != nil {
		t.Fatal(err)
	}
	o.s.Process(o.connector).StopWithin(40 * time.Second)
	o.connector = connector
	c := camera{o.s, connector}
	c.becomes(t, o.served.ID, func(a sessionAnswer) error {
		if a.State != "serving" || a.Pod != o.served.Pod || a.Address != o.served.Address || a.Moves != 0 {
			return fmt.Errorf("it was %+v, and is %+v", o.served, a)
		}
		return nil
	})
	c.becomes(t, o.waiting.ID, func(a sessionAnswer) error {
		if a.State != "waiting" || a.Position != 1 || a.Waiting != 1 {
			return fmt.Errorf("it was %+v, and is %+v", o.waiting, a)
		}
		return nil
	})
	if _, a, err := c.ask(t.Context(), http.MethodPost, "/v1/sessions/"+o.served.ID+"/renew", ""); err != nil || a.Expires.Before(o.served.Expires) {
		t.Errorf("renewed it is %+v, %v", a, err)
	}
}

// end ends the session that is served: the one that waits gets its turn.
func (o *openSessions) end(t *testing.T) {
	t.Helper()
	c := camera{o.s, o.connector}
	c.end(t, o.served.ID)
	c.becomes(t, o.waiting.ID, served)
	c.end(t, o.waiting.ID)
	noServers(t, o.s)
}
