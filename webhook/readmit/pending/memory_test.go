package pending

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/readmit/podtest"
)

// heap is what is in use, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestLargePodsArePending: of 200 pods of 250 KB, of as many templates, little is
// kept, and their options are those of the whole pods.
func TestLargePodsArePending(t *testing.T) {
	const pods, size = 200, 250 << 10
	b := NewPods(podtest.CurrentKeys)
	large := func(i int) *corev1.Pod {
		return podtest.Admitted(t, fmt.Sprint("p", i), fmt.Sprint("r", i), func(p *corev1.Pod) {
			text := func(n int) string { return strings.Repeat(string(rune('a'+i%26)), n) }
			p.Annotations["note"] = text(size / 4)
			p.Spec.NodeSelector = map[string]string{"node": fmt.Sprint(i)}
			c := &p.Spec.Containers[0]
			c.Args = append(c.Args, text(size/4))
			c.Env = append(c.Env, corev1.EnvVar{Name: "LARGE", Value: text(size / 4)})
			p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "x", Command: []string{text(size / 4)}}}
		})
	}
	before := heap()
	for i := range pods {
		b.Set(large(i), time.Now())
	}
	grown := heap() - before
	if len(b.pending) != pods || len(b.templates) != pods {
		t.Fatalf("%d pods of %d templates, want %d", len(b.pending), len(b.templates), pods)
	}
	t.Logf("%d pods of %d KiB: the heap grows by %d KiB", pods, size>>10, grown>>10)
	if grown > pods*size/20 {
		t.Errorf("the heap grows by %d KiB", grown>>10)
	}
	whole, req, err := asRequested(large(7))
	if err != nil {
		t.Fatal(err)
	}
	_, want, err := podtest.Source(t).Of("ns", whole, req)
	if err != nil {
		t.Fatal(err)
	}
	kept := b.pending[types.NamespacedName{Namespace: "ns", Name: "p7"}].Template
	_, got, err := podtest.Source(t).Of("ns", kept.Pod, kept.Request)
	if err != nil || len(got) != len(want) || got[0].Kind != want[0].Kind || !got[0].Needs.Equal(want[0].Needs) || got[0].QuotaUsage() != want[0].QuotaUsage() {
		t.Errorf("its options are %+v, %v, want %+v", got, err, want)
	}
	runtime.KeepAlive(b)
}

// TestPendingIsBounded: a pod that is large all the same waits for the kind that it
// got, and so do those of a namespace past its bound; no other's.
func TestPendingIsBounded(t *testing.T) {
	b := NewPods(podtest.CurrentKeys)
	of := func(namespace string, i, kib int) *corev1.Pod {
		return podtest.Admitted(t, fmt.Sprint("p", i), "r", func(p *corev1.Pod) {
			p.Namespace = namespace
			p.Spec.Volumes = []corev1.Volume{{Name: "settings", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				Items: []corev1.KeyToPath{{Key: fmt.Sprint(i) + strings.Repeat("x", kib<<10), Path: "x"}},
			}}}}
		})
	}
	b.Set(of("ns", 0, 65), time.Now())
	if b.Len() != 0 {
		t.Error("a pod of 65 KiB is kept")
	}
	for i := range 200 {
		b.Set(of("crowded", i, 60), time.Now())
	}
	if n := b.Len(); n != maxTemplates/(60<<10) && n != maxTemplates/(60<<10)-1 {
		t.Errorf("%d pods of 60 KiB are kept", n)
	}
	n := b.Len()
	b.Set(of("other", 0, 60), time.Now())
	if b.Len() != n+1 {
		t.Error("one of another namespace is not")
	}
	odd := podtest.Admitted(t, "odd", "r")
	odd.Annotations[accel.ReservationAnnotation] = strings.Repeat("r", 100<<10)
	b.SetForeign(odd)
	if got := b.observed[types.NamespacedName{Namespace: "ns", Name: "odd"}].reservation; len(got) != 64 {
		t.Errorf("%d bytes of a reservation are kept", len(got))
	}
	for i := range 200 {
		b.Delete(types.NamespacedName{Namespace: "crowded", Name: fmt.Sprint("p", i)})
	}
	b.Delete(types.NamespacedName{Namespace: "other", Name: "p0"})
	if len(b.sizes)+b.Len() != 0 {
		t.Errorf("%v is left of %d pods", b.sizes, b.Len())
	}
}

// asRequested is a pod without its mutation, and what it asks for.
func asRequested(pod *corev1.Pod) (*mutate.Pod, accel.Request, error) {
	whole, verified := mutate.Undo(AsMutated(pod), podtest.Keys, pod.Namespace)
	if !verified {
		return nil, accel.Request{}, errors.New("its record does not verify")
	}
	req, _, err := accel.ParseRequest(pod.Annotations)
	return whole, req, err
}

// TestImplausibleOwners: a reference to a controller that cannot exist is not kept.
func TestImplausibleOwners(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*metav1.OwnerReference)
		want   int
	}{
		"a ReplicaSet's": {func(*metav1.OwnerReference) {}, 1},
		"a long UID":     {func(o *metav1.OwnerReference) { o.UID = types.UID(strings.Repeat("u", 1<<20)) }, 0},
		"a long name":    {func(o *metav1.OwnerReference) { o.Name = strings.Repeat("n", 1<<20) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewPods(podtest.CurrentKeys)
			pod := podtest.Admitted(t, "p", "r", podtest.OwnedBy("apps/v1", "ReplicaSet"))
			c.change(&pod.OwnerReferences[0])
			b.Set(pod, time.Now())
			if b.Len() != c.want || len(b.admitted) != c.want {
				t.Errorf("%d pods and %d of controllers are kept, want %d", b.Len(), len(b.admitted), c.want)
			}
		})
	}
}
