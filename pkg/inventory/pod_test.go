package inventory

import (
	"fmt"
	"testing"
	"time"
	"unique"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/resources"
)

type podObject = corev1.Pod

// lostKeys are not among testKey.
var lostKeys = record.NewKeys([]byte("another key, which nobody has now"))

func TestPodOf(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	p := aPod("p", asks(gpu, "1"), asks("cpu", "500m"), asks("memory", "1Gi"), asks("hugepages-2Mi", "4Mi"), ours("GPU", "r"), since(start))
	p.Constraints = nil
	want := &Pod{
		Namespace: "default", Name: "p", UID: "uid-p",
		Needs:      resources.Amounts{CPU: 500, Memory: gi, Devices: []resources.Devices{{Resource: gpu, Count: 1}}},
		Managed:    &Managed{Inference: "faces", Reservation: "r", Kind: "GPU"},
		RecordKey:  testKey.Sealing(),
		Run:        &Run{Phase: corev1.PodRunning, Started: start, Ends: true},
		quotaUsage: unique.Make(quota.Usage{Unset: quota.UnsetLimitCPU | quota.UnsetLimitMemory}),
	}
	if diff := cmp.Diff(want, p, cmp.AllowUnexported(Pod{}), cmp.Comparer(sameUsage)); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if p := aPod("p", asks("cpu", "1")); p.Run != nil || p.Constraints != nil || p.Managed != nil {
		t.Errorf("a pod that is after no accelerator keeps more than its needs: %+v", p)
	}
	if p := aPod("p", asks(gpu, "1"), on("g")); p.Constraints != nil || p.Run == nil {
		t.Errorf("a bound pod: constraints %v, run %v", p.Constraints, p.Run)
	}
	forged := aPod("p", func(p *corev1.Pod) {
		ours("GPU", "r")(p)
		p.Annotations[accel.ReservationAnnotation] = "another"
	})
	if forged.Managed != nil || forged.RecordKey != "" {
		t.Error("a record that does not verify makes a pod ours")
	}
	p = aPod("p", ours("GPU", "r"), func(p *corev1.Pod) {
		p.Annotations[accel.OriginalAnnotation] = record.Seal("{}", lostKeys, p.Namespace, "r")
	})
	if p.Managed != nil || p.RecordKey != lostKeys.Sealing() {
		t.Errorf("a record of a lost key: managed %+v, key %q, want none, %q", p.Managed, p.RecordKey, lostKeys.Sealing())
	}
	// What the revision before keys had ids sealed with this key.
	former := aPod("p", func(p *corev1.Pod) {
		p.Namespace = "shop"
		p.Annotations = map[string]string{accel.ReservationAnnotation: "r1", accel.OriginalAnnotation: "GPjegaJoQJgctZE-HkEIabE7b2cgcYVlvns80z9GeNc " +
			`{"container":"main","inference":"faces","kind":"GPU","image":{"was":"a","now":"b"}}`}
	})
	if former.Managed == nil || former.Managed.Kind != "GPU" || former.RecordKey != testKey.Sealing() {
		t.Errorf("a record that names no key: managed %+v, key %q, want %q", former.Managed, former.RecordKey, testKey.Sealing())
	}
	said := aPod("p", ours("GPU", "r"), func(p *corev1.Pod) {
		p.Annotations[accel.SelectedAnnotation] = "NPU"
		p.Annotations[accel.InferenceAnnotation] = "hands"
		p.Spec.Priority = new(int32(7))
	})
	if diff := cmp.Diff(&Managed{Inference: "faces", Kind: "GPU", Reservation: "r", Priority: 7}, said.Managed); diff != "" {
		t.Errorf("other annotations are trusted (-want +got):\n%s", diff)
	}
}

// TestUnwritten: the record says whether the program was told its device.
func TestUnwritten(t *testing.T) {
	for content, want := range map[string]bool{
		`{"container":"c","inference":"faces","kind":"GPU","unwritten":true}`: true,
		`{"container":"c","inference":"faces","kind":"GPU"}`:                  false,
	} {
		p := aPod("p", asks(gpu, "1"), func(p *corev1.Pod) {
			p.Annotations = map[string]string{accel.ReservationAnnotation: "r", accel.OriginalAnnotation: record.Seal(content, testKey, p.Namespace, "r")}
		})
		if p.Managed == nil || p.Managed.Unwritten != want {
			t.Errorf("%s: %+v", content, p.Managed)
		}
	}
}

// TestLate: a pod that gets its device by a claim counts as one of its class, but for
// the CPU, of which its request is counted.
func TestLate(t *testing.T) {
	for kind, want := range map[string]resources.Amounts{
		"NPU": {CPU: 500, Devices: []resources.Devices{{Resource: accel.ClassResource("npu.example.com"), Count: 1}, {Resource: gpu, Count: 1}}},
		"CPU": {CPU: 500, Devices: []resources.Devices{{Resource: gpu, Count: 1}}},
	} {
		content := fmt.Sprintf(`{"container":"c","inference":"faces","kind":%q,"class":"npu.example.com","claim":"ha-1"}`, kind)
		p := aPod("p", asks(gpu, "1"), asks("cpu", "500m"), func(p *corev1.Pod) {
			p.Annotations = map[string]string{accel.ReservationAnnotation: "r", accel.OriginalAnnotation: record.Seal(content, testKey, p.Namespace, "r")}
		})
		if diff := cmp.Diff(want, p.Needs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
		if p.Claim != "ha-1" {
			t.Errorf("%s: claim %q, want ha-1", kind, p.Claim)
		}
	}
}

func TestStarted(t *testing.T) {
	at := func(s int64) metav1.Time { return metav1.Unix(s, 0) }
	status := func(ph corev1.PodPhase, ack int64, running ...int64) podOption {
		return func(p *corev1.Pod) {
			p.Status.Phase = ph
			start := at(ack)
			p.Status.StartTime = &start
			for _, r := range running {
				p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
					State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(r)}},
				})
			}
		}
	}
	tests := map[string]struct {
		status podOption
		want   time.Time
	}{
		"pulling its image":           {status(corev1.PodPending, 5), time.Time{}},
		"the first of its containers": {status(corev1.PodRunning, 5, 20, 10), at(10).Time},
		"between two restarts":        {status(corev1.PodRunning, 5), at(5).Time},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := aPod("p", asks(gpu, "1"), tt.status).Run.Started; !got.Equal(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEnds(t *testing.T) {
	owned := func(kind string) podOption {
		return func(p *corev1.Pod) {
			yes := true
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Controller: &yes}}
		}
	}
	tests := map[string]struct {
		pod  []podOption
		want bool
	}{
		"bare":                        {nil, true},
		"bare, restarted":             {[]podOption{restarts}, false},
		"a Job's":                     {[]podOption{owned("Job")}, true},
		"a ReplicaSet's":              {[]podOption{owned("ReplicaSet"), restarts}, false},
		"a workflow's, not restarted": {[]podOption{owned("Workflow")}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := aPod("p", append(tt.pod, asks(gpu, "1"))...).Run.Ends; got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("b", cordoned, tainted("x", corev1.TaintEffectNoSchedule)))
	w.SetNode(aNode("a", has(gpu, 2)))
	w.SetPod(aPod("p", on("not yet seen"), asks(gpu, "1"), ours("GPU", "")))
	w.SetPod(aPod("q", ours("CPU", "")))
	w.scrape("a", 2*time.Second, device("0", gpu), device("1", npu))

	found := w.Lookup([]string{"b", "none", "a", "not yet seen", "a"})
	if len(found) != 5 || found[0].Name != "b" || found[1] != nil || found[2].Name != "a" || found[3] != nil || found[4] != found[2] {
		t.Errorf("looked up: %v", found)
	}
	if nodes := w.Nodes(); len(nodes) != 2 || nodes[0].Name != "a" || nodes[1].Name != "b" {
		t.Errorf("nodes: %v", nodes)
	}
	a, b := found[2], found[0]
	if !b.Cordoned() || len(b.Taints()) != 1 || a.Cordoned() || len(a.Taints()) != 0 {
		t.Error("cordon and taints are those of the nodes")
	}
	if age, ok := a.Age(w.Now()); !ok || age != 2*time.Second || !a.Fresh(w.Now(), w.MaxTelemetryAge()) {
		t.Errorf("age: %v, %v", age, ok)
	}
	if _, ok := b.Age(w.Now()); ok || b.Fresh(w.Now(), time.Hour) {
		t.Error("a node without telemetry has an age")
	}
	if ds := a.DevicesOf(npu); len(ds) != 1 || ds[0].ID != "1" || b.DevicesOf(npu) != nil {
		t.Errorf("devices: %v", ds)
	}
	if p := w.Pod("default", "p"); p == nil || w.Pod("default", "none") != nil {
		t.Errorf("pod: %v", p)
	}
	if m := w.Managed(); len(m) != 2 || m[0].Name != "p" || m[1].Name != "q" {
		t.Errorf("managed: %v", m)
	}
}

// TestManyKindsOfDevices: of what a pod requests that no node has, little is kept.
func TestManyKindsOfDevices(t *testing.T) {
	var asked []podOption
	for i := range 1000 {
		asked = append(asked, asks(fmt.Sprintf("example.com/device-%03d", i), "1"))
	}
	p := aPod("p", asked...)
	if n := len(p.Needs.Devices); n != MaxDevices || cap(p.Needs.Devices) > 2*MaxDevices {
		t.Errorf("%d kinds are kept, of room for %d", n, cap(p.Needs.Devices))
	}
}
