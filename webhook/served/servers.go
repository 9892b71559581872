package served

import (
	"net/netip"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/webhook/readmit/servers"
)

// server is a pod of ours that does not end by itself, and is Ready.
type server struct {
	*inventory.Pod
	// owner is the name of what keeps it: its Deployment, or whatever controls it else; ""
	// for a bare pod.
	owner   string
	address netip.Addr
}

// pods are the servers, by name.
type pods struct {
	mu     sync.Mutex
	byName map[types.NamespacedName]server
}

// set takes a new or changed pod.
func (p *pods) set(e *kube.PodEvent) {
	name := types.NamespacedName{Namespace: e.Pod.Namespace, Name: e.Pod.Name}
	s, ok := serverOf(e.Pod, e.Record)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !ok {
		delete(p.byName, name)
		return
	}
	p.byName[name] = s
}

func (p *pods) remove(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byName, name)
}

// of are the servers of each inference.
func (p *pods) of() map[string][]server {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string][]server{}
	for _, s := range p.byName {
		out[s.Managed.Inference] = append(out[s.Managed.Inference], s)
	}
	return out
}

func serverOf(pod *corev1.Pod, record *inventory.Pod) (server, bool) {
	if record == nil || record.Managed == nil || record.Run == nil || record.Run.Ends || record.Done || record.Deleted || record.Node == "" || !isReady(pod) {
		return server{}, false
	}
	address, err := netip.ParseAddr(pod.Status.PodIP)
	if err != nil {
		return server{}, false
	}
	return server{record, ownerOf(pod), address.Unmap()}, true
}

func ownerOf(pod *corev1.Pod) string {
	c := metav1.GetControllerOfNoCopy(pod)
	switch {
	case c == nil:
		return ""
	case c.Kind == "ReplicaSet" && c.APIVersion == appsv1.SchemeGroupVersion.String():
		return servers.DeploymentOf(c.Name)
	}
	return c.Name
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
