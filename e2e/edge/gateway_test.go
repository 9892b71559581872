//go:build cluster

package edge

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	camera "heteroaccel.io/connector/camera/client"
	"heteroaccel.io/e2e/gateway"
)

// TestGateway: with a real implementation of the Gateway API, two clients are
// given two paths of one address, where a client of others' making gets real
// results; and a path is gone with its server.
func TestGateway(t *testing.T) {
	address, err := gateway.Start(t.Context(), shared.Cluster.Cluster, shared.Place())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range gateway.Programs {
			shared.Process(name).Stop()
		}
	})
	behindGateway(t)
	client, _, err := shared.NewClient(t.Context(), "hall")
	if err != nil {
		t.Fatal(err)
	}
	served := make([]camera.Session, 2)
	t.Cleanup(func() { endSessions(t, client, served) })
	for i, name := range []string{"face-recognition", "text-recognition"} {
		begin := time.Now()
		var s camera.Session
		// kube-proxy sends some requests to the connector of before the change.
		eventually(t, "the connector answers", func(ctx context.Context) (err error) {
			s, err = client.Create(ctx, camera.Request{Inference: name, TTL: "10m"}, 0)
			return err
		})
		served[i] = s
		s = becomes(t, client, s.ID, func(s camera.Session) error {
			if s.State != "serving" {
				return fmt.Errorf("it is %s: %s", s.State, s.Reason)
			}
			return nil
		})
		served[i] = s
		if want := address + ":80/sessions/" + s.Pod; s.Address != want || s.URL != "http://"+want {
			shared.Explain()
			t.Fatalf("%s is %s at %s, %s; want %s", name, s.State, s.Address, s.Reason, want)
		}
		t.Logf("%s at %s after %s", name, s.URL, since(begin))
		// Envoy learns of endpoints after Contour has written its verdict, and
		// answers 503 until then: a client asks again, as docs/connector.md says.
		eventually(t, name+" answers through the Gateway", func(ctx context.Context) error { return answer(ctx, s) })
	}
	find(t, "hall", served)

	// Envoy knows no other path, and none of a server that is gone.
	first := served[0]
	if err := client.End(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	served = served[1:]
	eventually(t, "the path of a server that is gone", func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, first.URL+"/v2/health/ready", nil)
		if err != nil {
			return err
		}
		resp, err := shared.http.Do(r)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			return fmt.Errorf("it answers %s", resp.Status)
		}
		return nil
	})
	answers(t, served[0])
}

// behindGateway has the connector reach servers by the Gateway for the time of a
// test, with the rights of the component.
func behindGateway(t *testing.T) {
	t.Helper()
	if said, err := shared.Kubectl(t.Context(), "apply", "--server-side", "-f", shared.Root+"/deploy/connector-gateway/rbac.yaml"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	before := connectorArgs(t, t.Context(), nil)
	connectorArgs(t, t.Context(), slices.Concat(before, []string{"--gateway=heteroaccel-system/heteroaccel", "--server-address=gateway"}))
	t.Cleanup(func() { connectorArgs(t, context.Background(), before) }) // the test's context has ended
}

// connectorArgs gives the connector other arguments, unless they are nil, and
// returns those that it had.
func connectorArgs(t *testing.T, ctx context.Context, args []string) (before []string) {
	t.Helper()
	deployments := shared.Client().AppsV1().Deployments(namespace)
	d, err := deployments.Get(ctx, connector, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := &d.Spec.Template.Spec.Containers[0]
	if before = c.Args; args == nil {
		return before
	}
	c.Args = args
	if _, err := deployments.Update(ctx, d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := shared.Rollout(ctx, namespace, "deployment/"+connector); err != nil {
		t.Fatal(err)
	}
	return before
}
