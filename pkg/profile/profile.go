package profile

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

// Profile is an InferenceProfile prepared for decisions: kinds canonical, defaults
// filled in. It is shared between goroutines and never changed.
type Profile struct {
	Name string
	UID  types.UID
	// Namespaces selects those whose pods may ask for it; nil for all.
	Namespaces labels.Selector
	Container  string
	// DeviceFlags are the flags whose value is the device; one without a dash is
	// the key of key=value. Empty when the program takes none.
	DeviceFlags []string
	// ConflictingFlags are the flags beside which nothing may be added.
	ConflictingFlags []string
	// ReadsDeviceEnv says that the program reads accel.DeviceEnv.
	ReadsDeviceEnv bool
	// Template is the pod for a request that comes without one, or nil.
	Template *corev1.PodTemplateSpec
	// SessionsPerPod is how many of the connector's sessions one such pod
	// serves, and IdleTimeout how long it is kept without any; 0 for the
	// defaults.
	SessionsPerPod int
	IdleTimeout    time.Duration
	// ServerAddress is the address of such a pod that the connector's clients are
	// given, "" for the default.
	ServerAddress string
	// LearnedSince is when what had been learned was last reset, zero if it never
	// was; pods created before it are not learned from. ResetPending is set while
	// the status does not show yet that it is reset.
	LearnedSince time.Time
	ResetPending bool
	// Binding is when the accelerator of a pod is settled, "" for the default.
	Binding Binding
	// Deadline is by when after its creation the run of a pod should be done whose
	// annotations do not say, 0 for none.
	Deadline time.Duration
	// ServerMetrics is where its servers report their inferences, nil for nowhere.
	ServerMetrics *ServerMetrics
	// Upgrade is set where its servers ask for upgrades unless their annotation declines.
	Upgrade bool
	// Variants are in the order of the resource.
	Variants []Variant
	// Late are the same as pods get them that are bound late, and NotLate is why there
	// are none.
	Late    []Variant
	NotLate error
}

// Variant is one inference on one kind, prepared for decisions.
type Variant struct {
	Kind accel.Kind
	// Device is the OpenVINO device name for the flag.
	Device string
	// Class is the DeviceClass by which a pod that is bound late gets its device, ""
	// where it is bound early.
	Class string
	// Devices are the extended resources among the limits; empty for CPU, and where a
	// pod is bound late.
	Devices corev1.ResourceList
	// ServiceTime is the hint, 0 when there is none.
	ServiceTime time.Duration
	// Speed is how fast the variant is beside the others, 0 when not stated.
	Speed float64
	// Learned is what runs of this form of the variant took, not of an earlier
	// form.
	Learned servicetime.Measured
	// Expected is how long a run is expected to take by servicetime.Measured.Expect, 0
	// when unknown.
	Expected time.Duration
	// Estimate is Expected, or else what follows from the other variants' times,
	// the stated speeds and the order of the profile: always above 0. Basis says
	// which of them.
	Estimate time.Duration
	Basis    servicetime.Basis
	// Served is what servers of this form of the variant reported, by how busy they were,
	// in runs of servicetime.ServedRuns inferences. ServerTime is how long an inference is
	// expected to take on a server, always above 0, and ServerBasis what that rests on:
	// the same as Estimate and Basis where no server reported anything.
	Served      map[Load]servicetime.Measured
	ServerTime  time.Duration
	ServerBasis servicetime.Basis
	// Hash is equal for equal variants: see hash. ServedHash is so too, and for equal
	// ServerMetrics.
	Hash, ServedHash string
	// Spec is the variant as written.
	Spec *v1alpha1.Variant
}

// Variant returns the variant for kind k, or nil.
func (p *Profile) Variant(k accel.Kind) *Variant { return find(p.Variants, k) }

// LateVariant returns the variant for kind k as a pod gets it that is bound late, or
// nil.
func (p *Profile) LateVariant(k accel.Kind) *Variant { return find(p.Late, k) }

func find(variants []Variant, k accel.Kind) *Variant {
	i := slices.IndexFunc(variants, func(v Variant) bool { return v.Kind == k })
	if i < 0 {
		return nil
	}
	return &variants[i]
}

// Written is what stands for the device on a command line: its name, or a reference to
// the variable that has it, where it may change.
func (v *Variant) Written() string {
	if v.Class != "" {
		return "$(" + accel.DeviceEnv + ")"
	}
	return v.Device
}

// Kinds lists the kinds that have a variant, in the order of the resource.
func (p *Profile) Kinds() []accel.Kind {
	kinds := make([]accel.Kind, len(p.Variants))
	for i, v := range p.Variants {
		kinds[i] = v.Kind
	}
	return kinds
}

// Time is how long a run is expected to take on a kind; 0 when there is no
// variant for it, or no time of any kind is known.
func (p *Profile) Time(k accel.Kind) time.Duration {
	v := p.Variant(k)
	if v == nil || !slices.ContainsFunc(p.Variants, func(v Variant) bool { return v.Expected > 0 }) {
		return 0
	}
	return v.Estimate
}

// ServerTime is how long an inference is expected to take on a server of a kind; 0 when
// there is no variant for it, or no time of any kind is known.
func (p *Profile) ServerTime(k accel.Kind) time.Duration {
	v := p.Variant(k)
	if v == nil || v.ServerBasis != servicetime.Served && p.Time(k) == 0 {
		return 0
	}
	return v.ServerTime
}

// expectTimes fills in the time to expect of each variant.
func (p *Profile) expectTimes() {
	known := make([]servicetime.Variant, len(p.Variants))
	for i, v := range p.Variants {
		known[i] = servicetime.Variant{Hint: v.ServiceTime, Speed: v.Speed, Learned: v.Learned}
	}
	all := servicetime.ExpectAll(known)
	hints, served := make([]time.Duration, len(all)), make([]servicetime.Measured, len(all))
	for i, e := range all {
		v := &p.Variants[i]
		v.Expected, v.Estimate, v.Basis = e.Known, e.Time, e.Basis
		hints[i], served[i] = v.ServiceTime, v.ServedBy()
	}
	for i, e := range servicetime.ExpectServed(all, hints, served) {
		p.Variants[i].ServerTime, p.Variants[i].ServerBasis = e.Time, e.Basis
	}
}
