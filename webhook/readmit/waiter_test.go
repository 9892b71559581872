package readmit

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/webhook/mutate"
	"heteroaccel.io/webhook/variant"
)

var testKey = []byte(strings.Repeat("k", 32))

// source has one inference with a GPU and an NPU variant.
func source(t *testing.T) variant.Source {
	t.Helper()
	oneOf := func(kind, device, name string) v1alpha1.Variant {
		return v1alpha1.Variant{
			Accelerator: kind, Image: "face:" + kind, Device: device,
			Limits: map[corev1.ResourceName]v1alpha1.Amount{corev1.ResourceName(name): resource.MustParse("1")},
		}
	}
	p, err := profile.New(&v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "face"},
		Spec: v1alpha1.InferenceProfileSpec{Variants: []v1alpha1.Variant{
			oneOf("GPU", "GPU", "gpu.intel.com/i915"), oneOf("NPU", "MYRIAD", "vpu.intel.com/hddl"),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	profiles := profile.NewStore()
	profiles.Set(p)
	return variant.Source{Profiles: profiles}
}

// admitted is a pod that was given a GPU, as the API server shows it.
func admitted(t *testing.T, name, reservation string, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "7",
			Annotations: map[string]string{accel.InferenceAnnotation: "face", accel.AcceleratorAnnotation: "any"},
		},
		Spec: corev1.PodSpec{
			Priority: new(int32(5)),
			Containers: []corev1.Container{{
				Name: "main", Image: "mine", Args: []string{"-d", "CPU"}, Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "secret"}},
			}},
		},
	}
	for _, f := range change {
		f(pod)
	}
	undone := slim(pod)
	req, _, err := accel.ParseRequest(pod.Annotations)
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := source(t).Of(pod.Namespace, undone, req)
	if err != nil {
		t.Fatal(err)
	}
	in.Variant, in.Key, in.Namespace = in.Profile.Variant("GPU"), testKey, pod.Namespace
	in.Decision = mutate.Decision{Kind: "GPU", Reason: "because", Reservation: reservation}
	out, err := mutate.Apply(undone, in)
	if err != nil {
		t.Fatal(err)
	}
	pod.Annotations, pod.Spec = out.Metadata.Annotations, out.Spec
	return pod
}

func ownedBy(apiVersion, kind string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "o", UID: "owner", Controller: new(true)}}
	}
}

func ofJob(p *corev1.Pod) {
	ownedBy("batch/v1", "Job")(p)
	p.Labels = map[string]string{"app": "x"}
	for _, name := range jobLabels {
		p.Labels[name] = "owner"
	}
	p.Finalizers = []string{jobFinalizer}
}

func TestWaiterOf(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*corev1.Pod) // it was admitted
		after  func(*corev1.Pod)
		want   ownerKind // "" when it is left alone
	}{
		"bare":                  {want: ownerNone},
		"ReplicaSet":            {before: ownedBy("apps/v1", "ReplicaSet"), want: ownerController},
		"StatefulSet":           {before: ownedBy("apps/v1", "StatefulSet"), want: ownerController},
		"DaemonSet":             {before: ownedBy("apps/v1", "DaemonSet"), want: ownerController},
		"ReplicationController": {before: ownedBy("v1", "ReplicationController"), want: ownerController},
		"Job":                   {before: ofJob, want: ownerJob},
		"somebody's ReplicaSet": {before: ownedBy("example.com/v1", "ReplicaSet")},
		"somebody's Job":        {before: ownedBy("example.com/v1", "Job")},
		"Workflow":              {before: ownedBy("argoproj.io/v1alpha1", "Workflow")},
		"Job with own selector": {before: ownedBy("batch/v1", "Job")},
		"somebody's finalizer":  {before: func(p *corev1.Pod) { p.Finalizers = []string{"example.com/keep"} }},
		"released already":      {after: func(p *corev1.Pod) { p.Labels = map[string]string{accel.ReleasedLabel: "x"} }},
		"bound":                 {after: func(p *corev1.Pod) { p.Spec.NodeName = "n" }},
		"being deleted":         {after: func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }},
		"gated":                 {after: func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}} }},
		"preempts":              {after: func(p *corev1.Pod) { p.Status.NominatedNodeName = "n" }},
		"ended":                 {after: func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }},
		"no record":             {after: func(p *corev1.Pod) { delete(p.Annotations, accel.OriginalAnnotation) }},
		"record of another pod": {after: func(p *corev1.Pod) { p.Annotations[accel.ReservationAnnotation] = "other" }},
		"asks for nothing now":  {after: func(p *corev1.Pod) { delete(p.Annotations, accel.InferenceAnnotation) }},
		"another namespace's":   {after: func(p *corev1.Pod) { p.Namespace = "elsewhere" }},
		"says nothing it got":   {after: func(p *corev1.Pod) { delete(p.Annotations, accel.SelectedAnnotation) }},
		"an owner, no controller": {before: func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "c"}}
		}, want: ownerNone},
	} {
		t.Run(name, func(t *testing.T) {
			var before []func(*corev1.Pod)
			if c.before != nil {
				before = append(before, c.before)
			}
			pod := admitted(t, "p", "r", before...)
			if c.after != nil {
				c.after(pod)
			}
			w, ok := waiterOf(pod, testKey)
			if ok != (c.want != "") || ok && w.owner != c.want {
				t.Errorf("got %+v, %v, want %q", w, ok, c.want)
			}
		})
	}
}

// TestClasses: pods of one template are alike, whatever the API server and the
// controller put into each.
func TestClasses(t *testing.T) {
	token := func(suffix string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "kube-api-access-" + suffix, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "kube-api-access-" + suffix, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}}
		}
	}
	b := newBook()
	b.set(admitted(t, "a", "1", token("abcde")), testKey, time.Now())
	b.set(admitted(t, "b", "2", token("fghij")), testKey, time.Now())
	if len(b.classes) != 1 {
		t.Errorf("%d classes, want 1", len(b.classes))
	}
	b.set(admitted(t, "c", "3", func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"x": "y"} }), testKey, time.Now())
	if len(b.classes) != 2 || len(b.waiting) != 3 {
		t.Errorf("%d classes of %d pods, want 2 of 3", len(b.classes), len(b.waiting))
	}
	// Quotas tell pods apart by more than that.
	b.set(admitted(t, "d", "4", func(p *corev1.Pod) { p.Spec.PriorityClassName = "urgent" }), testKey, time.Now())
	b.set(admitted(t, "e", "5", func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64(60)) }), testKey, time.Now())
	b.set(admitted(t, "a", "6", func(p *corev1.Pod) { p.Namespace = "elsewhere" }), testKey, time.Now())
	if len(b.classes) != 5 || len(b.waiting) != 6 {
		t.Errorf("%d classes of %d pods, want 5 of 6", len(b.classes), len(b.waiting))
	}
	b.remove(types.NamespacedName{Namespace: "elsewhere", Name: "a"})
	for _, name := range []string{"a", "b", "c", "d", "e", "never seen"} {
		b.remove(types.NamespacedName{Namespace: "ns", Name: name})
	}
	if len(b.classes)+len(b.waiting)+len(b.bearers)+len(b.carried) != 0 {
		t.Errorf("something is left: %+v", b)
	}
}

// TestOwnRecord: a record is believed of one live pod that never carried
// another.
func TestOwnRecord(t *testing.T) {
	b := newBook()
	mine := admitted(t, "mine", "r")
	b.set(mine, testKey, time.Now())
	w := b.waiting[types.NamespacedName{Namespace: "ns", Name: "mine"}]
	if !b.own(w) {
		t.Error("a record of its own is not believed")
	}
	copied := admitted(t, "copied", "other")
	b.set(copied, testKey, time.Now())
	copied = copied.DeepCopy()
	for _, name := range []string{accel.ReservationAnnotation, accel.OriginalAnnotation} {
		copied.Annotations[name] = mine.Annotations[name]
	}
	b.set(copied, testKey, time.Now())
	if b.own(w) {
		t.Error("a record that two pods carry is believed")
	}
	b.remove(types.NamespacedName{Namespace: "ns", Name: "mine"})
	if c := b.waiting[types.NamespacedName{Namespace: "ns", Name: "copied"}]; c == nil || b.own(c) {
		t.Error("a record is believed of a pod that carried another before")
	}
	// A new pod of the name is another pod.
	again := admitted(t, "copied", "third")
	again.UID = "new"
	b.set(again, testKey, time.Now())
	if c := b.waiting[types.NamespacedName{Namespace: "ns", Name: "copied"}]; !b.own(c) {
		t.Error("the record of a new pod is not believed")
	}
}

func TestReleasePatch(t *testing.T) {
	pod := admitted(t, "p", "r", ofJob, func(p *corev1.Pod) {
		p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "c"})
	})
	patch, err := releasePatch(pod, testKey)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(patch, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"metadata": map[string]any{
		"uid": "uid-p", "resourceVersion": "7", "finalizers": []any{},
		"ownerReferences": []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c"}},
		"labels": map[string]any{
			"batch.kubernetes.io/controller-uid": nil, "controller-uid": nil, "batch.kubernetes.io/job-name": nil, "job-name": nil,
			accel.ReleasedLabel: releaseCode(pod, testKey),
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if releaseCode(pod, testKey) == releaseCode(admitted(t, "q", "r"), testKey) {
		t.Error("two pods have the same code")
	}
}

// TestManifest: what a bare pod is created from is what its user created,
// fields unknown to us included; and a record copied from another pod gives
// none.
func TestManifest(t *testing.T) {
	r := &Readmitter{Config: Config{Key: testKey, Options: source(t)}}
	raw := func(pod *corev1.Pod) []byte {
		content, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(content, &fields); err != nil {
			t.Fatal(err)
		}
		fields["spec"].(map[string]any)["newerThanUs"] = "kept"
		if content, err = json.Marshal(fields); err != nil {
			t.Fatal(err)
		}
		return content
	}
	pod := admitted(t, "p", "r")
	pod.Annotations[accel.RetryAnnotation] = "now"
	pod.Status.Phase = corev1.PodPending
	manifest, err := r.manifest(raw(pod), pod)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(manifest, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{
			"name": "p", "namespace": "ns",
			"annotations": map[string]any{accel.InferenceAnnotation: "face", accel.AcceleratorAnnotation: "any"},
		},
		"spec": map[string]any{
			"newerThanUs": "kept",
			"containers": []any{map[string]any{
				"name": "main", "image": "mine", "args": []any{"-d", "CPU"}, "resources": map[string]any{},
				"env": []any{map[string]any{"name": "PASSWORD", "value": "secret"}},
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	for name, change := range map[string]func(*corev1.Pod){
		"another image now": func(p *corev1.Pod) { p.Spec.Containers[0].Image = "other" },
		"a copied record": func(p *corev1.Pod) {
			evil := admitted(t, "evil", "e", func(p *corev1.Pod) { p.Spec.Containers[0].Args = []string{"-d", "CPU", "--evil"} })
			for _, name := range []string{accel.ReservationAnnotation, accel.OriginalAnnotation} {
				p.Annotations[name] = evil.Annotations[name]
			}
		},
		"another kind claimed": func(p *corev1.Pod) { p.Annotations[accel.SelectedAnnotation] = "NPU" },
	} {
		t.Run(name, func(t *testing.T) {
			pod := admitted(t, "p", "r")
			change(pod)
			if manifest, err := r.manifest(raw(pod), pod); !refused(err) {
				t.Errorf("got %s, %v, want a refusal", manifest, err)
			}
		})
	}
}

// TestManifestNamesContainer: what is recreated has no record that says which
// container it is.
func TestManifestNamesContainer(t *testing.T) {
	r := &Readmitter{Config: Config{Key: testKey, Options: source(t)}}
	for name, c := range map[string]struct {
		words    []string
		injected bool
		want     string
	}{
		"alone":                   {words: []string{"-m", "x"}},
		"beside another":          {words: []string{"-m", "x"}, injected: true, want: "main"},
		"known by its flag still": {words: []string{"-d", "CPU"}, injected: true},
	} {
		t.Run(name, func(t *testing.T) {
			pod := admitted(t, "p", "r", func(p *corev1.Pod) { p.Spec.Containers[0].Args = c.words })
			if c.injected {
				pod.Spec.Containers = append([]corev1.Container{{Name: "mesh", Image: "mesh"}}, pod.Spec.Containers...)
			}
			content, err := json.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := r.manifest(content, pod)
			if err != nil {
				t.Fatal(err)
			}
			var got corev1.Pod
			if err := json.Unmarshal(manifest, &got); err != nil {
				t.Fatal(err)
			}
			if name := got.Annotations[accel.ContainerAnnotation]; name != c.want {
				t.Errorf("the annotation names %q, want %q", name, c.want)
			}
			req, _, err := accel.ParseRequest(got.Annotations)
			if err != nil {
				t.Fatal(err)
			}
			in, _, err := r.Options.Of("ns", slim(&got), req)
			if err != nil || got.Spec.Containers[in.Target.Index].Name != "main" {
				t.Errorf("recreated it would be %+v, %v", in.Target, err)
			}
		})
	}
}

// TestOtherScheduler: a pod whose scheduler does not ask our extender is not
// ours to recreate, but what it carries counts.
func TestOtherScheduler(t *testing.T) {
	c := Config{Key: testKey, Options: source(t)}
	c.Options.Schedulers = []string{"default-scheduler"}
	r := &Readmitter{Config: c, book: newBook()}
	for scheduler, want := range map[string]int{"default-scheduler": 1, "": 1, "volcano": 0} {
		pod := admitted(t, "p", "r")
		pod.Spec.SchedulerName = scheduler
		r.SetPod(pod)
		if got := len(r.book.waiting); got != want {
			t.Errorf("%q: %d wait, want %d", scheduler, got, want)
		}
		r.DeletePod(types.NamespacedName{Namespace: "ns", Name: "p"})
	}
}

// TestLostIsNoRefusal: a pod that is gone or bound is told apart from one that
// must be left alone.
func TestLostIsNoRefusal(t *testing.T) {
	if !errors.Is(errLost, errLost) || refused(errLost) || !refused(refusal{"x"}) {
		t.Error("a pod that was lost is no refusal")
	}
}
