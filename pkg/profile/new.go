package profile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// defaultDeviceFlag is that of OpenVINO's demos.
const defaultDeviceFlag = "-d"

// The speeds that a variant may state, as in its schema.
const slowest, fastest = 0.000001, 1_000_000

// New reads a profile from its resource, which must not be changed afterwards: the
// Profile refers to it. The CRD's schema refuses most of what New refuses, but not
// where an older CRD is installed. The error names the profile and says what to
// change.
func New(in *v1alpha1.InferenceProfile) (*Profile, error) {
	p := &Profile{
		Name:             in.Name,
		UID:              in.UID,
		Container:        in.Spec.Container,
		DeviceFlags:      in.Spec.DeviceFlags,
		ConflictingFlags: in.Spec.ConflictingFlags,
		ReadsDeviceEnv:   in.Spec.ReadsDeviceEnv,
		Binding:          Binding(in.Spec.Binding),
		Upgrade:          in.Spec.Upgrade,
		Variants:         make([]Variant, 0, len(in.Spec.Variants)),
	}
	if p.DeviceFlags == nil { // an empty list means that there is none
		p.DeviceFlags = []string{defaultDeviceFlag}
	}
	for _, f := range p.DeviceFlags {
		if strings.Trim(f, "-") == "" || strings.ContainsAny(f, " \t\r\n=") {
			return nil, fmt.Errorf("profile %s: device flag %q is empty, or holds spaces or '=': write it alone, such as \"-d\", or \"device\" for device=GPU", in.Name, f)
		}
	}
	for _, f := range p.ConflictingFlags {
		if len(f) < 2 || f[0] != '-' || strings.ContainsAny(f, " \t\r\n=") {
			return nil, fmt.Errorf("profile %s: conflicting flag %q does not start with '-', or holds spaces or '=': write it alone, such as \"--config_path\"", in.Name, f)
		}
	}
	if in.Spec.NamespaceSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(in.Spec.NamespaceSelector)
		if err != nil {
			return nil, fmt.Errorf("profile %s: namespaceSelector: %w", in.Name, err)
		}
		p.Namespaces = selector
	}
	if in.Spec.Template != nil && len(in.Spec.Template.Raw) > 0 {
		p.Template = &corev1.PodTemplateSpec{}
		if err := json.Unmarshal(in.Spec.Template.Raw, p.Template); err != nil {
			return nil, fmt.Errorf("profile %s: template is not a pod template: %w", in.Name, err)
		}
	}
	p.SessionsPerPod, p.ServerAddress = int(in.Spec.SessionsPerPod), in.Spec.ServerAddress
	if in.Spec.IdleTimeout != nil {
		p.IdleTimeout = in.Spec.IdleTimeout.Duration
	}
	if d := in.Spec.Deadline; d != nil {
		if p.Deadline = d.Duration; p.Deadline <= 0 {
			return nil, fmt.Errorf("profile %s: deadline %s is not greater than 0: give by when after its creation a run should be done, such as 5s, or leave it out", in.Name, p.Deadline)
		}
	}
	var err error
	if p.ServerMetrics, err = serverMetrics(in.Spec.ServerMetrics); err != nil {
		return nil, fmt.Errorf("profile %s: %w", in.Name, err)
	}
	learned := in.Status.Learned
	if _, p.ResetPending = resetOf(in); p.ResetPending {
		learned = nil
	}
	if since := in.Status.LearnedSince; since != nil {
		p.LearnedSince = since.Time
	}
	if len(in.Spec.Variants) == 0 {
		return nil, fmt.Errorf("profile %s has no variants: list at least one", in.Name)
	}
	for i := range in.Spec.Variants {
		v, err := newVariant(&in.Spec.Variants[i])
		if err != nil {
			return nil, fmt.Errorf("profile %s, variant %d (%s): %w", in.Name, i+1, in.Spec.Variants[i].Accelerator, err)
		}
		if p.Variant(v.Kind) != nil {
			return nil, fmt.Errorf("profile %s has several variants for %s: keep one for each kind", in.Name, v.Kind)
		}
		v.Hash, v.Learned = learnedOf(v.Spec, v.Kind, learned)
		if p.ServerMetrics != nil {
			v.ServedHash, v.Served = servedHash(in, v.Spec), servedOf(in, &v)
		}
		p.Variants = append(p.Variants, v)
	}
	p.expectTimes()
	p.Late, p.NotLate = lateVariants(p.Variants)
	return p, nil
}

func newVariant(in *v1alpha1.Variant) (Variant, error) {
	kind, err := accel.ParseKind(in.Accelerator)
	switch {
	case err != nil:
		return Variant{}, err
	case kind == "ANY":
		return Variant{}, errors.New("\"any\" is what pods say that take every kind: name the kind this variant is for")
	case strings.TrimSpace(in.Image) == "":
		return Variant{}, errors.New("the image is empty: name the container image that holds the inference for this kind")
	case in.ServiceTime != nil && in.ServiceTime.Duration <= 0:
		return Variant{}, fmt.Errorf("service time %s is not greater than 0: give how long one run takes, such as 76ms, or leave it out", in.ServiceTime.Duration)
	case in.Speed != nil && !(*in.Speed >= slowest && *in.Speed <= fastest):
		return Variant{}, fmt.Errorf("speed %v is not a number from %v to %v: give how many times as fast the variant is as one of speed 1, or leave it out", *in.Speed, slowest, float64(fastest))
	}
	v := Variant{Kind: kind, Device: in.Device, Spec: in}
	if v.Device == "" {
		v.Device = string(kind)
	}
	if in.ServiceTime != nil {
		v.ServiceTime = in.ServiceTime.Duration
	}
	if in.Speed != nil {
		v.Speed = *in.Speed
	}
	if v.Devices, err = devices(kind, in.Limits, in.DeviceClassName != ""); err != nil {
		return Variant{}, err
	}
	for _, g := range in.SupplementalGroups {
		if len(validation.IsValidGroupID(g)) > 0 {
			return Variant{}, fmt.Errorf("supplemental group %d is not a number from 0 to 2147483647", g)
		}
	}
	for key, value := range in.Selector() {
		if len(validation.IsQualifiedName(key))+len(validation.IsValidLabelValue(value)) > 0 {
			return Variant{}, fmt.Errorf("node selector %s=%s cannot be a label of a node", key, value)
		}
	}
	return v, nil
}

// devices picks the extended resources out of a variant's limits and checks
// that they are what the kind needs: none for the CPU, else at least one, unless the
// variant has a DeviceClass.
func devices(kind accel.Kind, limits corev1.ResourceList, class bool) (corev1.ResourceList, error) {
	out := corev1.ResourceList{}
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		amount := limits[name]
		switch {
		case amount.Sign() <= 0:
			return nil, fmt.Errorf("limit %s: %s is not greater than 0", name, amount.String())
		case !accel.IsDeviceResource(name):
			continue
		case amount.MilliValue()%1000 != 0:
			return nil, fmt.Errorf("limit %s: %s is not a whole number, and a device cannot be divided", name, amount.String())
		}
		out[name] = amount
	}
	_, cores := limits[corev1.ResourceCPU]
	switch {
	case kind == accel.CPU && len(out) > 0:
		return nil, errors.New("a variant for the CPU limits no extended resource")
	case kind == accel.CPU && !cores:
		return nil, errors.New("a variant for the CPU limits cpu, such as cpu: \"2\"")
	case kind != accel.CPU && len(out) == 0 && !class:
		return nil, errors.New("limits names no device: add the extended resource its device is served as, such as gpu.intel.com/i915: \"1\", or a deviceClassName")
	}
	return out, nil
}
