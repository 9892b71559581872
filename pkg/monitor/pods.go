package monitor

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Pods knows on which node the pods of some namespaces have which addresses, by
// the API server. Its methods may be called from any goroutine.
type Pods struct {
	synced func() error

	mu         sync.Mutex
	namespaces []string
	byName     map[types.NamespacedName]pod
}

// pod is where a pod runs.
type pod struct {
	node      string
	addresses []netip.Addr
}

// NewPods returns what knows no pods. synced is nil once Set was called for every
// pod that there is.
func NewPods(synced func() error) *Pods {
	return &Pods{synced: synced, byName: map[types.NamespacedName]pod{}}
}

// watch adds a namespace to those whose pods are known. It must be called before
// the first Set.
func (p *Pods) watch(namespace string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.namespaces = append(p.namespaces, namespace)
}

// Set takes a new or changed pod. One that has ended has no address any more,
// whatever its status says: another pod may have it.
func (p *Pods) Set(in *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := types.NamespacedName{Namespace: in.Namespace, Name: in.Name}
	if !slices.Contains(p.namespaces, in.Namespace) {
		return
	}
	delete(p.byName, name)
	if in.Spec.NodeName == "" || in.Status.Phase == corev1.PodSucceeded || in.Status.Phase == corev1.PodFailed {
		return
	}
	one := pod{node: in.Spec.NodeName}
	for _, ip := range in.Status.PodIPs {
		if a, err := netip.ParseAddr(ip.IP); err == nil {
			one.addresses = append(one.addresses, a.Unmap())
		}
	}
	if len(one.addresses) > 0 {
		p.byName[name] = one
	}
}

// Delete forgets a pod.
func (p *Pods) Delete(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byName, name)
}

// nodes returns the node of each address at which a pod of a namespace runs. An
// address that pods on two nodes have is of neither.
func (p *Pods) nodes(namespace string) map[netip.Addr]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	nodes := map[netip.Addr]string{}
	for name, one := range p.byName {
		if name.Namespace != namespace {
			continue
		}
		for _, a := range one.addresses {
			if other, known := nodes[a]; known && other != one.node {
				nodes[a] = ""
				continue
			}
			nodes[a] = one.node
		}
	}
	return nodes
}

// wait returns once every pod is known.
func (p *Pods) wait(ctx context.Context) error {
	var missing error
	if wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) {
		missing = p.synced()
		return missing == nil, nil
	}) != nil {
		return missing
	}
	return nil
}
