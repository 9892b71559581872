package plan

import (
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Size is how much there is of everything.
type Size struct {
	// Pods is how many pods of ours there are to be, of all owners together.
	Pods int
	// Duration is how long things happen.
	Duration time.Duration
}

// Plan is all that a soak does.
type Plan struct {
	Seed       uint64
	Size       Size
	Machines   []*machine.Machine
	NodeLabels map[string]map[string]string // by node
	Reserved   []string                     // nodes with the taint ReservedTaint
	Profiles   []*v1alpha1.InferenceProfile
	Classes    []*schedulingv1.PriorityClass
	Storage    *storagev1.StorageClass
	Namespaces []*Namespace
	Volumes    []*corev1.PersistentVolume
	Owners     []*Owner
	// Foreign are pods that ask nothing of us and hold devices or cores.
	Foreign []*corev1.Pod
	Events  []Event // by time
}

// ReservedTaint keeps pods off that do not tolerate it.
const ReservedTaint = "soak/reserved"

// ZoneLabel is on every node.
const ZoneLabel = corev1.LabelTopologyZone

// drawer draws one part of a plan. Each has a sequence of its own, so that a
// change of one part leaves the others as they are for a seed.
func drawer(seed, part uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, part)) }

// New draws the plan of a seed.
func New(seed uint64, size Size) *Plan {
	p := &Plan{Seed: seed, Size: size, Profiles: Profiles(), Classes: classes(), Storage: storage()}
	p.drawNodes(drawer(seed, 1), max(6, size.Pods/10))
	p.drawNamespaces(drawer(seed, 2))
	p.drawOwners(drawer(seed, 3))
	p.drawForeign(drawer(seed, 4))
	p.drawEvents(drawer(seed, 5))
	slices.SortStableFunc(p.Events, func(a, b Event) int { return int(a.At - b.At) })
	return p
}

// Priority classes. Twin is below all others, and evicts nobody.
const (
	Low    = "soak-low"
	High   = "soak-high"
	Urgent = "soak-urgent" // may evict
	Twin   = "soak-twin"
)

func classes() []*schedulingv1.PriorityClass {
	class := func(name string, value int32, policy corev1.PreemptionPolicy) *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, PreemptionPolicy: &policy}
	}
	return []*schedulingv1.PriorityClass{
		class(Twin, -1000, corev1.PreemptNever),
		class(Low, -10, corev1.PreemptNever),
		class(High, 100, corev1.PreemptNever),
		class(Urgent, 1000, corev1.PreemptLowerPriority),
	}
}

// LateBinding is the storage class whose claims are bound when a pod is.
const LateBinding = "soak-local"

func storage() *storagev1.StorageClass {
	late := storagev1.VolumeBindingWaitForFirstConsumer
	return &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: LateBinding}, Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: &late,
	}
}

// chance is true in so many of a hundred draws.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// Keep leaves only some owners in the plan, by name, with what happens to them,
// so that a failure can be cut down. What happens to nodes stays if faults is
// set. It returns the names that no owner has.
func (p *Plan) Keep(names []string, faults bool) (unknown []string) {
	for _, name := range names {
		if !slices.ContainsFunc(p.Owners, func(o *Owner) bool { return o.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	kept := func(o *Owner) bool { return len(names) == 0 || slices.Contains(names, o.Name) }
	p.Owners = slices.DeleteFunc(p.Owners, func(o *Owner) bool { return !kept(o) })
	p.Events = slices.DeleteFunc(p.Events, func(e Event) bool { return e.Owner != nil && !kept(e.Owner) || e.Node != "" && !faults })
	return unknown
}
