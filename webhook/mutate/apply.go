package mutate

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	sealed "heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/mutate/deviceflag"
)

// Decision is what the mutation writes back for people and for re-admission.
type Decision struct {
	Kind accel.Kind
	// Reason is one sentence that a person understands.
	Reason string
	// Reservation identifies the decision.
	Reservation string
	// Readmissions is how often the pod was recreated for another kind, or moved to it.
	Readmissions int
	// Moved is when a pod that is bound late was moved last, zero if it never was.
	Moved time.Time
	// FirstAdmitted is from when the pod's deadline counts; see record.Given.
	FirstAdmitted time.Time
	// Displaced is as in record.Given.
	Displaced accel.Kind
}

// Input is all that Apply needs besides the pod.
type Input struct {
	Request accel.Request
	Profile *profile.Profile
	Variant *profile.Variant
	Target  Target
	// Late is set for a pod that is bound late: Variant is one of the profile's late
	// variants then.
	Late     bool
	Decision Decision
	// Known reports whether an extended resource is some profile's
	// accelerator. May be nil: then none is but the variant's own.
	Known func(corev1.ResourceName) bool
	// Keys authenticate the record of what was replaced. Not nil.
	Keys *sealed.Keys
	// Namespace is the review's: the pod's own may be empty at admission.
	Namespace string
	// Scheduler is the schedulerName of a pod that names none of its own; "" leaves it
	// to the API server.
	Scheduler string
}

// VariantOf is the variant for a kind as the pod would get it, or nil.
func (in *Input) VariantOf(kind accel.Kind) *profile.Variant {
	if in.Late {
		return in.Profile.LateVariant(kind)
	}
	return in.Profile.Variant(kind)
}

// annotations are what the webhook writes back, in the order of the patch.
var annotations = [...]string{
	accel.SelectedAnnotation, accel.DeviceAnnotation, accel.ReasonAnnotation,
	accel.ReservationAnnotation, accel.OriginalAnnotation,
	accel.ReadmissionsAnnotation, accel.IntendedAnnotation,
}

// Apply returns pod with in.Target running in.Variant: image, resources,
// device flag, HETEROACCEL_DEVICE, extra args, env, mounts, volumes,
// groups, selectors, tolerations, in.Scheduler, and the annotations that explain it and make
// it undoable. Its Warnings are for whoever creates the pod; the reason ends with
// a short form of them. pod is never changed; the result shares with it what did not
// change. The rules are told at deviceflag.Rewrite, resourcesFor and
// Compatible.
//
// pod must have no mutation yet: see Undo. The error is Compatible's for the
// variant, or says that the record is too large: a sentence for the person who
// wrote the pod.
func Apply(pod *Pod, in Input) (*Pod, error) {
	out, r, warnings, err := applyVariant(pod, in)
	if err != nil {
		return nil, err
	}
	r.Unwritten, r.Note = warnings.Unwritten, warnings.Note()
	out.Warnings = warnings.Texts()
	original, err := r.seal(in.Keys, in.Namespace, in.Decision.Reservation)
	if err != nil {
		return nil, err
	}
	a := make(map[string]string, len(pod.Metadata.Annotations)+len(annotations))
	maps.Copy(a, pod.Metadata.Annotations)
	a[accel.SelectedAnnotation] = string(in.Decision.Kind)
	if v := in.Variant; v.Class != "" {
		a[accel.DeviceAnnotation] = v.Device
	}
	a[accel.ReasonAnnotation] = strings.TrimSuffix(in.Decision.Reason, pod.Noted) + r.Note
	a[accel.ReservationAnnotation] = in.Decision.Reservation
	a[accel.OriginalAnnotation] = original
	if n := in.Decision.Readmissions; n > 0 {
		a[accel.ReadmissionsAnnotation] = strconv.Itoa(n)
	}
	out.Metadata.Annotations = a
	return out, nil
}

// Preview is the pod that Apply would return, without the annotations that it
// writes. in needs neither decision nor key.
func Preview(pod *Pod, in Input) (*corev1.Pod, error) {
	out, _, _, err := applyVariant(pod, in)
	if err != nil {
		return nil, err
	}
	m := &out.Metadata
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: m.Name, GenerateName: m.GenerateName, Namespace: in.Namespace, Annotations: m.Annotations},
		Spec:       out.Spec,
	}, nil
}

// applyVariant returns a copy of pod whose in.Target runs in.Variant, a record of
// what that replaced, and warnings.
func applyVariant(pod *Pod, in Input) (*Pod, *record, *deviceflag.Warnings, error) {
	if in.Profile == nil || in.Variant == nil || in.Variant.Spec == nil {
		return nil, nil, nil, errors.New("apply a variant: none given")
	}
	v := in.Variant
	out := *pod
	out.Recorded, out.Noted, out.Warnings = "", "", nil
	c := in.Target.detach(&out)
	if c == nil {
		return nil, nil, nil, errNoContainer(in.Target)
	}
	r := &record{Given: sealed.Given{Container: c.Name, Inference: in.Profile.Name, Kind: v.Kind, FirstAdmitted: in.Decision.FirstAdmitted, Displaced: in.Decision.Displaced}}
	if v.Class != "" {
		r.Class, r.Claim, r.Moved = v.Class, ClaimName(in.Decision.Reservation), in.Decision.Moved
		if err := addClaim(&out, c, r.Claim); err != nil {
			return nil, nil, nil, err
		}
	}
	warnings, err := applyToContainer(c, in, originsOf(pod, in.Target), r)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := applyToPod(&out, in, r); err != nil {
		return nil, nil, nil, err
	}
	return &out, r, warnings, nil
}

// applyToContainer changes c, which is a copy, and notes in r what it replaced.
// It returns warnings about c's command line and variables.
func applyToContainer(c *corev1.Container, in Input, w origins, r *record) (*deviceflag.Warnings, error) {
	v := in.Variant
	now := c.ImagePullPolicy
	switch image := v.Spec.Image; {
	case v.Class != "":
		now = latePullPolicy(c.ImagePullPolicy, c.Image, in.Profile)
	case image != "" && image != c.Image:
		now = pullPolicy(c.ImagePullPolicy, c.Image, image)
	}
	if now != c.ImagePullPolicy {
		r.Pull = &text{Was: string(c.ImagePullPolicy), Now: string(now)}
		c.ImagePullPolicy = now
	}
	if image := v.Spec.Image; image != "" && image != c.Image {
		r.Image = &text{Was: c.Image, Now: image}
		c.Image = image
	}

	l := deviceflag.Rewrite(c, in.Profile, v)
	c.Command, c.Args = l.Command.Words, l.Args.Words
	r.Command, r.Args = l.Command.Change(), l.Args.Change()

	resources := resourcesFor(c.Resources, v, w, in.Known)
	r.Limits = changedAmounts(c.Resources.Limits, resources.Limits)
	r.Requests = changedAmounts(c.Resources.Requests, resources.Requests)
	c.Resources = resources

	r.Env, r.EnvAdded = setEnv(c, v)

	mounts, paths, err := newMounts(c, v)
	if err != nil {
		return nil, err
	}
	if len(mounts) > 0 {
		c.VolumeMounts = append(slices.Clip(c.VolumeMounts), mounts...)
		r.Mounts = paths
	}
	return l.Warnings(c, v), nil
}

// applyToPod changes the rest of out, which is a copy, and notes in r what it
// added.
func applyToPod(out *Pod, in Input, r *record) error {
	v := in.Variant
	if was := out.Spec.SchedulerName; in.Scheduler != "" && in.Scheduler != was && (was == "" || was == corev1.DefaultSchedulerName) {
		out.Spec.SchedulerName = in.Scheduler
		r.Scheduler = &text{Was: was, Now: in.Scheduler}
	}
	if was := out.Spec.Resources; was != nil {
		out.Spec.Resources = podResourcesFor(out)
		r.PodLimits = changedAmounts(was.Limits, out.Spec.Resources.Limits)
		r.PodRequests = changedAmounts(was.Requests, out.Spec.Resources.Requests)
	}
	volumes, names, err := newVolumes(out, v)
	if err != nil {
		return err
	}
	if len(volumes) > 0 {
		out.Spec.Volumes = append(slices.Clip(out.Spec.Volumes), volumes...)
		r.Volumes = names
	}
	selectors, err := newSelectors(out, v)
	if err != nil {
		return err
	}
	if len(selectors) > 0 {
		all := make(map[string]string, len(out.Spec.NodeSelector)+len(selectors))
		maps.Copy(all, out.Spec.NodeSelector)
		maps.Copy(all, selectors)
		out.Spec.NodeSelector = all
		r.NodeSelector = selectors
	}
	r.Groups, r.Context = addGroups(out, v)
	r.Tolerations = addTolerations(out, v)
	return nil
}
