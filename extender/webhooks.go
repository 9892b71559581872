package main

import (
	"net"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// webhookAccount is that of the webhook's pods.
const webhookAccount = "heteroaccel-webhook"

// webhooks knows where the replicas of the webhook are, by their pods.
type webhooks struct {
	namespace, port string

	mu sync.Mutex
	at map[types.NamespacedName]string
}

// addresses are where the replicas of the webhook are: as the flags say, or as the pods
// that set and remove are called for.
func (f *flags) addresses() (all func() []string, set func(*corev1.Pod), remove func(types.NamespacedName)) {
	w := &webhooks{namespace: f.namespace, port: strconv.Itoa(f.webhookPort), at: map[types.NamespacedName]string{}}
	if len(f.webhooks) > 0 {
		return func() []string { return f.webhooks }, func(*corev1.Pod) {}, func(types.NamespacedName) {}
	}
	return w.all, w.set, w.remove
}

func (w *webhooks) set(p *corev1.Pod) {
	if p.Namespace != w.namespace || p.Spec.ServiceAccountName != webhookAccount {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	name := types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
	if p.Status.Phase != corev1.PodRunning || p.Status.PodIP == "" {
		delete(w.at, name)
		return
	}
	w.at[name] = net.JoinHostPort(p.Status.PodIP, w.port)
}

func (w *webhooks) remove(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.at, name)
}

func (w *webhooks) all() (addresses []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.at {
		addresses = append(addresses, a)
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}
