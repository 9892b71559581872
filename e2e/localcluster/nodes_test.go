package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/healthcheck"
)

// TestNodes: the machines are there for an exporter, their Nodes for the scheduler, and
// the whole is ready once the Nodes are.
func TestNodes(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "nodes-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	// g is there from an earlier run.
	g := machine.G()
	limits := corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "lab", UID: "1"}, Spec: corev1.PodSpec{
		NodeName: "g", Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Limits: limits}}},
	}}
	client := fake.NewClientset(g.Node("v1.36.3"), pod)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, client, []*machine.Machine{g, machine.N()}, dir, address, zerolog.Nop())
	}()
	wait := func(what string, try func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := poll.Until(ctx, try); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	asked := healthcheck.Target{URL: "http://" + address + "/readyz", Timeout: 10 * time.Second}
	wait("the Nodes", func(ctx context.Context) error {
		_, err := client.CoreV1().Nodes().Get(ctx, "n", metav1.GetOptions{})
		return err
	})
	if said, err := healthcheck.Ask(ctx, asked); err == nil {
		t.Errorf("before any Node is Ready: %s", said)
	}
	for _, name := range []string{"g", "n"} {
		node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		if _, err := client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	wait("readiness", func(ctx context.Context) error {
		_, err := healthcheck.Ask(ctx, asked)
		return err
	})
	if _, err := os.Stat(filepath.Join(dir, "n", "sys", "bus", "usb", "devices", "1-1")); err != nil {
		t.Errorf("the machine's stick: %v", err)
	}
	kubelet, err := podresources.New(filepath.Join(dir, "g", "kubelet.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer kubelet.Close()
	wait("the holder of the GPU", func(ctx context.Context) error {
		answer, err := kubelet.Ask(ctx)
		if err != nil {
			return err
		}
		if len(answer.Held) != 1 {
			return errors.New("the pod holds nothing")
		}
		return nil
	})
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}
