package inventory

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/telemetry"
)

const (
	gpu  = "gpu.intel.com/i915"
	npu  = "npu.intel.com/accel"
	fpga = "fpga.intel.com/arria10"
	gi   = int64(1) << 30
)

// world is an inventory with a clock that only moves when told.
type world struct {
	*Inventory
	now time.Time
}

func newWorld(options ...func(*Options)) *world {
	w := &world{now: time.Unix(1_700_000_000, 0)}
	opts := Options{Now: func() time.Time { return w.now }}
	for _, o := range options {
		o(&opts)
	}
	w.Inventory = New(opts)
	return w
}

// look is a dry run: what a decision about one option would see.
func (w *world) look(o Option) Candidate {
	return w.Decide(Query{Namespace: "default", Options: []Option{o}}, func([]Candidate) int { return 0 })
}

// reserve decides for an option and reserves it.
func (w *world) reserve(id string, o Option) Candidate {
	return w.Decide(Query{Namespace: "default", Options: []Option{o}, Reservation: id}, func([]Candidate) int { return 0 })
}

func (w *world) scrape(node string, age time.Duration, devices ...accel.Device) {
	w.SetTelemetry(telemetry.Scrape{Node: node, Time: w.now.Add(-age), Devices: devices})
}

type nodeOption func(*corev1.Node)

// aNode has 8 cores, 32 GiB, room for 110 pods, and no device.
func aNode(name string, options ...nodeOption) *Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	amounts := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("8"),
		corev1.ResourceMemory:           resource.MustParse("32Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
		corev1.ResourcePods:             resource.MustParse("110"),
	}
	n.Status.Allocatable, n.Status.Capacity = amounts, amounts.DeepCopy()
	for _, o := range options {
		o(n)
	}
	return NodeOf(n)
}

func has(name string, count int64) nodeOption {
	return func(n *corev1.Node) { allocatable(name, count)(n); capacity(name, count)(n) }
}

func allocatable(name string, count int64) nodeOption {
	return func(n *corev1.Node) {
		n.Status.Allocatable[corev1.ResourceName(name)] = *resource.NewQuantity(count, resource.DecimalSI)
	}
}

func capacity(name string, count int64) nodeOption {
	return func(n *corev1.Node) {
		n.Status.Capacity[corev1.ResourceName(name)] = *resource.NewQuantity(count, resource.DecimalSI)
	}
}

func labelled(key, value string) nodeOption {
	return func(n *corev1.Node) { metav1.SetMetaDataLabel(&n.ObjectMeta, key, value) }
}

func tainted(key string, effect corev1.TaintEffect) nodeOption {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: effect})
	}
}

func cordoned(n *corev1.Node) { n.Spec.Unschedulable = true }

// testKey seals the records of ours.
var testKey = record.NewKeys(bytes.Repeat([]byte{7}, 32))

type podOption func(*corev1.Pod)

// aPod is pending, asks for nothing and never restarts.
func aPod(name string, options ...podOption) *Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{}}}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for _, o := range options {
		o(p)
	}
	return PodOf(p, testKey)
}

func asks(name, amount string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests[corev1.ResourceName(name)] = resource.MustParse(amount)
	}
}

func on(node string) podOption { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

func in(namespace string) podOption { return func(p *corev1.Pod) { p.Namespace = namespace } }

func scheduledBy(name string) podOption { return func(p *corev1.Pod) { p.Spec.SchedulerName = name } }

func phase(ph corev1.PodPhase) podOption { return func(p *corev1.Pod) { p.Status.Phase = ph } }

func selects(key, value string) podOption {
	return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{key: value} }
}

func gated(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "wait"}} }

// mirror makes a pod what the kubelet shows of a file on its node.
func mirror(p *corev1.Pod) {
	p.Annotations = map[string]string{
		accel.InferenceAnnotation: "faces", accel.AcceleratorAnnotation: "any", corev1.MirrorPodAnnotationKey: "7a59cd04",
	}
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: p.Spec.NodeName, Controller: new(true)}}
}

func restarts(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways }

func deleted(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }

func since(t time.Time) podOption {
	return func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodRunning
		p.Status.ContainerStatuses = []corev1.ContainerStatus{
			{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(t)}}},
		}
	}
}

// ours makes a pod one that the webhook admitted.
func ours(kind accel.Kind, reservation string) podOption {
	return func(p *corev1.Pod) {
		content, err := json.Marshal(record.Given{Container: "c", Inference: "faces", Kind: kind})
		if err != nil {
			panic(err)
		}
		p.Annotations = map[string]string{
			accel.ReservationAnnotation: reservation,
			accel.OriginalAnnotation:    record.Seal(string(content), testKey, p.Namespace, reservation),
		}
	}
}

// wants is the option of a kind that needs one of a resource, or with "" two
// cores.
func wants(resource string, podSpec ...podOption) Option {
	o := Option{Kind: "GPU", Needs: resources.Amounts{Devices: []resources.Devices{{Resource: resource, Count: 1}}}}
	if resource == "" {
		o = Option{Kind: accel.CPU, Needs: resources.Amounts{CPU: 2000}}
	}
	if len(podSpec) > 0 {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{}},
		}}}}
		for _, s := range podSpec {
			s(p)
		}
		extra := resources.Of(p.Spec.Containers[0].Resources.Requests)
		o.Needs = o.Needs.Plus(extra, 1)
		o.Constraints = ConstraintsOf(&p.Spec)
	}
	return o
}

func device(id, resource string, change ...func(*accel.Device)) accel.Device {
	d := accel.Device{Kind: "GPU", ID: id, Resource: resource, Health: accel.Healthy, Slots: 1}
	for _, c := range change {
		c(&d)
	}
	return d
}

func unhealthy(d *accel.Device) { d.Health = accel.Unhealthy }
func unknown(d *accel.Device)   { d.Health = accel.HealthUnknown }

func usedBy(command string) func(*accel.Device) {
	return func(d *accel.Device) { d.ExternalUse = command }
}

func slots(n int) func(*accel.Device) { return func(d *accel.Device) { d.Slots = n } }

func heldBy(pods ...string) func(*accel.Device) {
	return func(d *accel.Device) {
		d.Allocated = len(pods)
		for _, p := range pods {
			d.Holders = append(d.Holders, accel.Holder{Namespace: "default", Pod: p, Container: "c", Slots: 1})
		}
	}
}

// sums are the numbers of a candidate.
type sums struct {
	Nodes, Stale                   int
	Total, Usable, Claimed, Queued int64
}

func sumsOf(c Candidate) sums {
	return sums{c.Nodes, c.Stale, c.Total, c.Usable, c.Claimed, c.Queued}
}

func wantSums(t *testing.T, got Candidate, want sums) {
	t.Helper()
	if g := sumsOf(got); g != want {
		t.Errorf("got %+v, want %+v", g, want)
	}
}
