package mutate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	sealed "heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/mutate/deviceflag"
)

// claimEntry is the name of our entry in a pod's spec.resourceClaims.
const claimEntry = "heteroaccel"

// ClaimName is the name of the ResourceClaim of a pod that is bound late: equal for
// each review of one decision, and not that of any other's.
func ClaimName(reservation string) string {
	sum := sha256.Sum256([]byte(reservation))
	return "heteroaccel-" + hex.EncodeToString(sum[:8])
}

// addClaim has the container of pod, which is a copy, use a ResourceClaim of a name.
// The pod waits until there is one.
func addClaim(pod *Pod, c *corev1.Container, claim string) error {
	if slices.ContainsFunc(pod.Spec.ResourceClaims, func(e corev1.PodResourceClaim) bool { return e.Name == claimEntry }) {
		return fmt.Errorf("the pod has an entry %q in spec.resourceClaims, as its device's is named: rename yours", claimEntry)
	}
	pod.Spec.ResourceClaims = append(slices.Clip(pod.Spec.ResourceClaims), corev1.PodResourceClaim{Name: claimEntry, ResourceClaimName: &claim})
	c.Resources.Claims = append(slices.Clip(c.Resources.Claims), corev1.ResourceClaim{Name: claimEntry})
	return nil
}

// FitsLate returns nil if target t of pod can be bound late to any of the profile's
// variants: else a sentence that says why it is bound early.
func FitsLate(pod *Pod, t Target, p *profile.Profile) error {
	c := t.container(pod)
	switch {
	case c == nil:
		return errNoContainer(t)
	case len(p.Late) == 0:
		return p.NotLate
	case pod.Spec.Resources != nil:
		return errors.New("the pod has resources for all its containers together, which are fixed as it is created")
	}
	if deviceflag.Rewrite(c, p, &p.Variants[0]).Places() != deviceflag.Rewrite(c, p, &p.Late[0]).Places() {
		return fmt.Errorf("its command line names the device in a form that %s cannot stand for", p.Late[0].Written())
	}
	return nil
}

// Amend is what moves a pod that waits to another kind: what Swap found to change.
type Amend struct {
	// Image is the container's new image, "" where it stays.
	Image string
	// Annotations are those to set, or with nil to remove.
	Annotations map[string]*string
	// Resources are the container's, nil where they stay.
	Resources *corev1.ResourceRequirements
}

// ErrFixed is returned by Swap where more would have to change than can be changed on
// a pod that exists.
var ErrFixed = errors.New("its profile has changed since: delete the pod, and it is created as the profile is now")

// Swap returns what makes pod, as it is, a pod that runs in.Variant, to which it is
// bound late; the zero value if it does already. undone is pod without its mutation.
// The error is ErrFixed, or Apply's.
func Swap(pod, undone *Pod, in Input) (Amend, error) {
	after, err := Apply(undone, in)
	if err != nil {
		return Amend{}, err
	}
	is, want := in.Target.container(pod), in.Target.container(after)
	if is == nil {
		return Amend{}, errNoContainer(in.Target)
	}
	var a Amend
	same := *after
	same.Metadata.Annotations = pod.Metadata.Annotations
	c := in.Target.detach(&same)
	if is.Image != want.Image {
		a.Image, c.Image = want.Image, is.Image
	}
	if !equal(is.Resources.Limits, want.Resources.Limits) || !equal(is.Resources.Requests, want.Resources.Requests) {
		a.Resources = &corev1.ResourceRequirements{Limits: want.Resources.Limits, Requests: want.Resources.Requests}
		c.Resources.Limits, c.Resources.Requests = is.Resources.Limits, is.Resources.Requests
	}
	if ops := Diff(pod, &same, in.Target); len(ops) > 0 {
		return Amend{}, fmt.Errorf("%s would have to change: %w", ops[0].Path, ErrFixed)
	}
	for _, name := range annotations {
		was, had := pod.Metadata.Annotations[name]
		now, has := after.Metadata.Annotations[name]
		if had == has && was == now {
			continue
		}
		if a.Annotations == nil {
			a.Annotations = map[string]*string{}
		}
		a.Annotations[name] = nil
		if has {
			a.Annotations[name] = &now
		}
	}
	return a, nil
}

// Owed are the amounts that the container of a pod should have by its record and has not:
// the pod was moved, and whoever did so got no further than its image. nil where there are
// none, or where the record does not verify.
func Owed(pod *Pod, keys *sealed.Keys, namespace string) (container string, owed *corev1.ResourceRequirements) {
	a := pod.Metadata.Annotations
	r, ok := unseal(a[accel.OriginalAnnotation], keys, namespace, a[accel.ReservationAnnotation])
	if !ok {
		return "", nil
	}
	t, found := lookup(pod, r.Container)
	if !found {
		return "", nil
	}
	is := t.container(pod).Resources
	want := corev1.ResourceRequirements{Limits: r.Limits.redo(is.Limits), Requests: r.Requests.redo(is.Requests)}
	if equal(is.Limits, want.Limits) && equal(is.Requests, want.Requests) {
		return "", nil
	}
	return r.Container, &want
}

// redo returns list with what was written, each where it is not so now.
func (a amounts) redo(list corev1.ResourceList) corev1.ResourceList {
	out := maps.Clone(list)
	for name, c := range a {
		q, err := resource.ParseQuantity(c.Now)
		if have, has := out[name]; err != nil || !has || have.Cmp(q) == 0 {
			continue // an amount cannot be added to a pod that exists, or removed
		}
		out[name] = q
	}
	return out
}
