package verbs

import (
	"bytes"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// query is the pod of a request at a time.
//
// The inventory tells whether HeteroAccel admitted it. Until the informer has
// shown the pod, its own annotation is accepted: a false one only keeps the pod
// off broken devices.
func (v *Verbs) query(pod *podArgs, now time.Time) placement.Query {
	q := placement.Query{
		Needs:      placement.NeedsOf(pod.pod()),
		FreshSince: now.Add(-v.Inventory.MaxTelemetryAge()),
	}
	known := v.Inventory.Pod(pod.Metadata.Namespace, pod.Metadata.Name)
	if known != nil && !known.Done && string(known.UID) == pod.Metadata.UID {
		q.Bound = known.Node
		q.Unmanaged = known.Managed == nil
	} else {
		q.Unmanaged = !pod.claimsManaged()
	}
	q.Skip = q.Unmanaged && v.ManagedOnly
	return q
}

// claimsManaged reports whether the pod's annotations say that the webhook
// admitted it. A quote inside of a value is escaped, so only a key matches.
func (p *podArgs) claimsManaged() bool {
	return bytes.Contains(p.Metadata.Annotations, []byte(`"`+accel.SelectedAnnotation+`":`))
}

// preference is which nodes the pod prefers. kube-scheduler's own request is the
// first to know: it may come before the informer has shown the pod. An affinity
// that cannot be read prefers none.
func (p *podArgs) preference() *inventory.Preference {
	if len(p.Spec.Affinity) == 0 {
		return nil
	}
	var a affinityArgs
	if codec.Unmarshal(p.Spec.Affinity, &a) != nil {
		return nil
	}
	return inventory.PreferenceOf(a.NodeAffinity.Preferred)
}

// pod is the pod as far as its requests go.
func (p *podArgs) pod() *corev1.Pod {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		Containers:     containers(p.Spec.Containers),
		InitContainers: containers(p.Spec.InitContainers),
		Overhead:       p.Spec.Overhead,
	}}
	if p.Spec.Resources != nil {
		pod.Spec.Resources = &corev1.ResourceRequirements{Requests: p.Spec.Resources.Requests}
	}
	return pod
}

func containers(in []containerArgs) []corev1.Container {
	out := make([]corev1.Container, len(in))
	for i, c := range in {
		out[i].RestartPolicy = c.RestartPolicy
		out[i].Resources.Requests = c.Resources.Requests
	}
	return out
}

// podUIDs are the UIDs of all pods there are, by name and as a set.
type podUIDs struct {
	mu     sync.Mutex
	byName map[types.NamespacedName]types.UID
	all    map[types.UID]struct{}
}

// SetPod takes a new or changed pod.
func (v *Verbs) SetPod(pod *corev1.Pod) {
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	p := &v.pods
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.byName[name]; ok && old != pod.UID {
		delete(p.all, old)
	}
	p.byName[name], p.all[pod.UID] = pod.UID, struct{}{}
}

// DeletePod takes a pod that is gone.
func (v *Verbs) DeletePod(name types.NamespacedName) {
	p := &v.pods
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, p.byName[name])
	delete(p.byName, name)
}

// has reports whether there is a pod with the UID.
func (p *podUIDs) has(uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.all[types.UID(uid)]
	return ok
}
