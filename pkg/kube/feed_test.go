package kube

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/namespaces"
	"heteroaccel.io/pkg/record"
)

// list is a ResourceList of names and amounts in turn.
func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func requests(pairs ...string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: list(pairs...)}
}

func node(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// TestReduceNamespace: of a namespace's annotations the one that is read stays.
func TestReduceNamespace(t *testing.T) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"l": "1"}, Annotations: map[string]string{namespaces.AllowedAnnotation: "face", "other": "x"}}}
	reduced, err := reduceNamespace(ns)
	if err != nil {
		t.Fatal(err)
	}
	want := &namespaces.Namespace{Name: "a", Labels: map[string]string{"l": "1"}, Restricted: true, Allowed: []string{"face"}}
	if diff := cmp.Diff(want, namespaces.Of(reduced.(*corev1.Namespace))); diff != "" || len(ns.Annotations) != 1 {
		t.Errorf("%v remain (-want +got):\n%s", ns.Annotations, diff)
	}
}

// nodeFeed is a feed of nodes that notes what it told which consumer.
func nodeFeed(told *[]string, consumers ...string) *Feed[*corev1.Node] {
	f := newFeed("nodes", nil, &corev1.Node{}, itself[*corev1.Node], nil)
	for _, c := range consumers {
		f.Register(
			func(n *corev1.Node) { *told = append(*told, c+" set "+n.Name) },
			func(n types.NamespacedName) { *told = append(*told, c+" remove "+n.Name) })
	}
	return f
}

// TestFeed plays what a reflector does: a first list, changes, and a second
// list after a lost connection, in which what vanished meanwhile is missing.
func TestFeed(t *testing.T) {
	var told []string
	f := nodeFeed(&told, "inventory")
	if f.Synced() == nil {
		t.Error("synced before the first list")
	}
	for _, step := range []struct {
		do   func() error
		want []string
	}{
		{func() error { return f.Replace([]any{node("a"), node("b")}, "1") }, []string{"inventory set a", "inventory set b"}},
		{func() error { return f.Add(node("c")) }, []string{"inventory set c"}},
		{func() error { return f.Update(node("a")) }, []string{"inventory set a"}},
		{func() error { return f.Delete(node("b")) }, []string{"inventory remove b"}},
		{func() error { return f.Replace([]any{node("a"), node("d")}, "2") }, []string{"inventory remove c", "inventory set a", "inventory set d"}},
		{func() error { return f.Replace(nil, "3") }, []string{"inventory remove a", "inventory remove d"}},
	} {
		told = nil
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(told)
		if diff := cmp.Diff(step.want, told); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if err := f.Synced(); err != nil {
		t.Error(err)
	}
}

// TestConsumersInOrder: each event is given to all consumers, in the order of
// their registration, before the next event is given to any.
func TestConsumersInOrder(t *testing.T) {
	var told []string
	f := nodeFeed(&told, "inventory", "second", "third")
	for _, do := range []func() error{
		func() error { return f.Add(node("a")) },
		func() error { return f.Update(node("b")) },
		func() error { return f.Delete(node("a")) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"inventory set a", "second set a", "third set a",
		"inventory set b", "second set b", "third set b",
		"inventory remove a", "second remove a", "third remove a",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFeedGoesOnAfterAnObjectItCannotRead must not lose the ones behind it.
func TestFeedGoesOnAfterAnObjectItCannotRead(t *testing.T) {
	var told []string
	f := nodeFeed(&told, "inventory")
	if err := f.Replace([]any{node("a"), &metav1.Status{}, node("b")}, "1"); err == nil {
		t.Error("the bad object was not reported")
	}
	if diff := cmp.Diff([]string{"inventory set a", "inventory set b"}, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.Synced() != nil {
		t.Error("one bad object keeps the feed from being synced")
	}
}

// testKey seals the records of ours.
var testKey = record.NewKeys(bytes.Repeat([]byte{7}, 32))

// ours is the annotations of a pod of namespace that the webhook admitted, with
// the given container for the inference.
func ours(namespace, container string) map[string]string {
	content := `{"container":"` + container + `","inference":"face-recognition","kind":"GPU"}`
	return map[string]string{
		accel.ReasonAnnotation: "because", accel.ReservationAnnotation: "id",
		accel.OriginalAnnotation: record.Seal(content, testKey, namespace, "id"),
	}
}

// TestReducingLosesNothing compares the record of a whole pod with that of
// what is left of it after reducing.
func TestReducingLosesNothing(t *testing.T) {
	controller := true
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "p", UID: "1", Labels: map[string]string{"a": "b"},
			Annotations:     ours("default", "a"),
			OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: "j", Controller: &controller}},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"x": "y"},
			Tolerations:  []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}},
			Overhead:     list("cpu", "10m"),
			InitContainers: []corev1.Container{
				{Name: "init", Resources: requests("cpu", "3")},
				{Name: "sidecar", Resources: requests("cpu", "100m"), RestartPolicy: new(corev1.ContainerRestartPolicyAlways)},
			},
			Containers: []corev1.Container{
				{Name: "a", Image: "i", Env: []corev1.EnvVar{{Name: "E"}, {Name: "HETEROACCEL_DEVICE", Value: "GPU"}}, Resources: requests("gpu.intel.com/i915", "1")},
				{Name: "b", Resources: requests("memory", "1Gi")},
			},
			Volumes: []corev1.Volume{{Name: "v"}},
		},
		Status: corev1.PodStatus{
			Phase:  corev1.PodRunning,
			PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}},
			ContainerStatuses: []corev1.ContainerStatus{
				{Name: "a", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Unix(100, 0)}}},
				{Name: "b", AllocatedResources: list("memory", "2Gi"), Resources: &corev1.ResourceRequirements{Requests: list("memory", "2Gi")}},
			},
		},
	}
	want := inventory.PodOf(pod, testKey)
	reduced, err := reducePod(pod.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	// Where a pod has which address says for which node its page may speak.
	if p := reduced.(*corev1.Pod); p.Spec.NodeName != pod.Spec.NodeName || len(p.Status.PodIPs) != 1 {
		t.Errorf("addresses %v on %q", p.Status.PodIPs, p.Spec.NodeName)
	}
	r := inventory.PodOf(reduced.(*corev1.Pod), testKey)
	if diff := cmp.Diff(want.Needs, r.Needs); diff != "" {
		t.Errorf("needs (-whole +reduced):\n%s", diff)
	}
	if diff := cmp.Diff(want.Managed, r.Managed); diff != "" {
		t.Errorf("managed (-whole +reduced):\n%s", diff)
	}
	if diff := cmp.Diff(want.Run, r.Run); diff != "" {
		t.Errorf("run (-whole +reduced):\n%s", diff)
	}
	if r.Managed == nil || r.Run == nil || r.Needs.CPU == 0 || r.Run.Image != "i" || r.Run.Device != "GPU" {
		t.Errorf("the record is empty: %+v", *r)
	}
}

// TestReducingKeepsTheRun: what a run took is read off the container that ran
// the inference, which may be an init container.
func TestReducingKeepsTheRun(t *testing.T) {
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: metav1.Unix(100, 0), FinishedAt: metav1.Unix(107, 0)}}
	inference := corev1.Container{Name: "inference", Resources: requests("gpu.intel.com/i915", "1")}
	other := corev1.Container{Name: "other"}
	statuses := []corev1.ContainerStatus{{Name: "other", State: ended}, {Name: "inference", State: ended, RestartCount: 2}}
	for name, pod := range map[string]*corev1.Pod{
		"container": {
			Spec:   corev1.PodSpec{Containers: []corev1.Container{other, inference}},
			Status: corev1.PodStatus{ContainerStatuses: statuses},
		},
		"init container": {
			Spec:   corev1.PodSpec{InitContainers: []corev1.Container{other, inference}, Containers: []corev1.Container{{Name: "main"}}},
			Status: corev1.PodStatus{InitContainerStatuses: statuses},
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod.Status.Phase = corev1.PodSucceeded
			pod.Annotations = ours("", "inference")
			want := inventory.PodOf(pod, testKey)
			reduced, err := reducePod(pod.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			got := inventory.PodOf(reduced.(*corev1.Pod), testKey)
			if diff := cmp.Diff(want.Run, got.Run); diff != "" {
				t.Errorf("run (-whole +reduced):\n%s", diff)
			}
			if took, ok := got.Run.Duration(); !ok || took.Seconds() != 7 {
				t.Errorf("took %s, %v", took, ok)
			}
		})
	}
}

// TestReducingKeepsClaims: of an unbound pod that was not admitted by us the
// volumes still say where it may go, and so which devices it will take.
func TestReducingKeepsClaims(t *testing.T) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "a", Resources: requests("gpu.intel.com/i915", "1")}},
			Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
			}}},
		},
	}
	inv := inventory.New(inventory.Options{})
	reduced, err := reducePod(pod.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	inv.SetPod(inventory.PodOf(reduced.(*corev1.Pod), testKey))
	volume, err := reduceVolume(&corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv"},
		Spec: corev1.PersistentVolumeSpec{NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "room", Operator: corev1.NodeSelectorOpIn, Values: []string{"2"}},
			}}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	inv.SetVolume(inventory.VolumeOf(volume.(*corev1.PersistentVolume)))
	claim, err := reduceClaim(&corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: "pv"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := claim.(*corev1.PersistentVolumeClaim)
	inv.SetVolumeClaim(c.Namespace, c.Name, c.Spec.VolumeName)
	n := inventory.NodeOf(node("a"))
	if got := inv.Pod("default", "p").Constraints.VolumeConflict(n); got != "pv" {
		t.Errorf("the pod is kept off the node by %q, want by its volume", got)
	}
}
