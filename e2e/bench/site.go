package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/bench/report"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

const (
	namespace = metav1.NamespaceDefault
	// atOnce is how many requests are under way at a time.
	atOnce = 32
	// limit is far more than one step takes.
	limit = 10 * time.Minute
)

// site is an installation with so many nodes, and more devices than a round has pods.
type site struct {
	*stack.Stack
	out     io.Writer
	nodes   int
	instant *httptest.Server
	// late is set where devices are served by DRA, and pods are bound late.
	late bool
}

// gpu is a load of pods that may have a GPU.
func (x *site) gpu() load { return load{name: "gpu", kinds: "gpu", late: x.late} }

// at runs an installation that binds pods late, or not, while do does something with it.
func at(ctx context.Context, out io.Writer, nodes, pods int, late bool, do func(*site) error) error {
	config := stack.Config{Out: out, Machines: []*machine.Machine{}}
	if late {
		config.Late, config.NoReadmission, config.Webhook = true, true, []string{"--binding=auto", "--readmission=false"}
	}
	s, err := stack.Start(ctx, config)
	if err != nil {
		return err
	}
	defer s.Stop()
	x := &site{Stack: s, out: out, nodes: nodes, late: late, instant: httptest.NewServer(http.HandlerFunc(answerAtOnce))}
	defer x.instant.Close()
	if late {
		if said, err := x.KubectlInput(ctx, lateManifest, "create", "-f", "-"); err != nil {
			return fmt.Errorf("create the profile and its DeviceClass: %w: %s", err, said)
		}
	}
	if err := x.addNodes(ctx, pods); err != nil {
		return err
	}
	return do(x)
}

// addNodes creates the nodes. kwok keeps them ready and runs their pods; they have no
// exporter, so what they have is by Kubernetes' own account.
func (x *site) addNodes(ctx context.Context, pods int) error {
	fmt.Fprintf(x.out, "creating %d nodes\n", x.nodes)
	each := int64(pods/x.nodes + 2)
	err := x.many(ctx, x.nodes, func(ctx context.Context, i int) error {
		m := &machine.Machine{Name: nodeName(i), CPU: "Intel(R) Core(TM) Ultra 7 258V", Cores: int(each) * 8, MemoryGiB: int(each) * 16}
		n := m.Node("v1.37.0")
		for _, list := range []corev1.ResourceList{n.Status.Capacity, n.Status.Allocatable} {
			if !x.late {
				list["gpu.intel.com/i915"] = *resource.NewQuantity(each, resource.DecimalSI)
			}
			list[corev1.ResourcePods] = *resource.NewQuantity(2*each+8, resource.DecimalSI)
		}
		_, err := x.Client().CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
		if err == nil && x.late {
			err = x.publish(ctx, n.Name, int(each))
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := x.settled(ctx); err != nil {
		return err
	}
	return x.idle(ctx, pods)
}

// settled waits until each node is ready, without a taint, and has its lease: until then
// the control plane is busy with new nodes, which would be counted against the first load.
func (x *site) settled(ctx context.Context) error {
	nodes, leases := x.Client().CoreV1().Nodes(), x.Client().CoordinationV1().Leases(corev1.NamespaceNodeLease)
	return x.many(ctx, x.nodes, func(ctx context.Context, i int) error {
		name := nodeName(i)
		return poll.Within(ctx, limit, func(ctx context.Context) error {
			n, err := nodes.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			ready := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
				return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
			})
			if !ready || len(n.Spec.Taints) > 0 {
				return fmt.Errorf("node %s is ready: %t, with the taints %v", name, ready, n.Spec.Taints)
			}
			_, err = leases.Get(ctx, name, metav1.GetOptions{})
			return err
		})
	})
}

func nodeName(i int) string { return fmt.Sprintf("node-%05d", i) }

// many calls do for 0 to n−1, some at a time.
func (x *site) many(ctx context.Context, n int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// idle waits until no pod is left, and the webhook has noticed: enough GPUs are idle.
func (x *site) idle(ctx context.Context, want int) error {
	return poll.Within(ctx, limit, func(ctx context.Context) error {
		pods, err := x.Client().CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return err
		}
		if len(pods.Items) > 0 {
			return fmt.Errorf("pods such as %s are still there", pods.Items[0].Name)
		}
		asked := x.gpu().pod("")
		asked.GenerateName = "probe-"
		p, err := x.Client().CoreV1().Pods(namespace).Create(ctx, asked, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		var free, total int
		why := p.Annotations[accel.ReasonAnnotation]
		if _, err := fmt.Sscanf(why, "GPU is free (%d of %d)", &free, &total); err != nil || free < total || total < want {
			return fmt.Errorf("not all GPUs are idle: %s", why)
		}
		return nil
	})
}

// deleteAll deletes all pods. On a busy machine that takes longer than the API server lets
// one request take, which has then deleted some of them.
func (x *site) deleteAll(ctx context.Context, pods int) error {
	err := poll.Within(ctx, limit, func(ctx context.Context) error {
		return x.Client().CoreV1().Pods(namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}, metav1.ListOptions{})
	})
	if err != nil {
		return fmt.Errorf("delete the pods: %w", err)
	}
	return x.idle(ctx, pods)
}

// let starts kube-scheduler again, which asks nobody where it places what was written by
// hand.
func (x *site) let(ctx context.Context, way string, whom asks) error {
	if way != report.Ours || x.late || whom == nobody {
		return x.RestartScheduler(ctx, nil)
	}
	extenders, err := x.Extenders()
	if err != nil {
		return err
	}
	for i := range extenders {
		switch whom {
		case filterAlone:
			extenders[i].PrioritizeVerb, extenders[i].Weight = "", 0
		case instant:
			extenders[i].URLPrefix = x.instant.URL
		}
	}
	return x.RestartScheduler(ctx, extenders)
}

// programOf is by what name a process is reported; "" for one that is not.
func programOf(process string) string {
	switch {
	case strings.HasPrefix(process, "kube-"), process == "etcd", process == "webhook", process == "extender":
		return process
	}
	return ""
}
