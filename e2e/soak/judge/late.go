package judge

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/soak/ledger"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Claims are the ResourceClaims of pods that are bound late, and the devices that a DRA
// driver serves.
type Claims struct {
	List   []resourcev1.ResourceClaim
	Slices []resourcev1.ResourceSlice
}

// Disagrees says what of a pod does not fit the kind that it says it was given: its image,
// its device flag -d, what it is told by its annotation, and, until it has ended, its
// claim. The container is the one that the kind was written into. Nil if all agree.
func (c Claims) Disagrees(pod *corev1.Pod, container string, variants []v1alpha1.Variant) error {
	kind := pod.Annotations[accel.SelectedAnnotation]
	v := variantOf(variants, kind)
	if v == nil {
		return fmt.Errorf("pod %s/%s says it was given %q, which its profile does not have", pod.Namespace, pod.Name, kind)
	}
	i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container })
	if i < 0 {
		return fmt.Errorf("pod %s/%s has no container %s", pod.Namespace, pod.Name, container)
	}
	var wrong []error
	if is := pod.Spec.Containers[i].Image; is != v.Image {
		wrong = append(wrong, fmt.Errorf("its image is %s, want %s", is, v.Image))
	}
	if got := flags(pod.Spec.Containers[i]); !slices.Equal(got, []string{"$(HETEROACCEL_DEVICE)"}) {
		wrong = append(wrong, fmt.Errorf("its command line has -d %q, want its variable once", got))
	}
	if is := pod.Annotations[accel.DeviceAnnotation]; is != v.Device {
		wrong = append(wrong, fmt.Errorf("it is told %q, want %q", is, v.Device))
	}
	if ledger.Live(pod) {
		wrong = append(wrong, c.disagrees(pod, v))
	}
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("pod %s/%s was given %s: %w", pod.Namespace, pod.Name, kind, err)
	}
	return nil
}

// disagrees says what of a pod's claim does not fit its variant.
func (c Claims) disagrees(pod *corev1.Pod, v *v1alpha1.Variant) error {
	claim := c.of(pod)
	if claim == nil {
		return errors.New("it has no claim")
	}
	if o := metav1.GetControllerOf(claim); o == nil || o.UID != pod.UID {
		return fmt.Errorf("its claim is controlled by %v", o)
	}
	r := claim.Spec.Devices.Requests[0]
	if r.Name != strings.ToLower(v.Accelerator) || r.Exactly == nil || r.Exactly.DeviceClassName != v.DeviceClassName {
		return fmt.Errorf("its claim asks for %s of %+v, want %s", r.Name, r.Exactly, v.DeviceClassName)
	}
	reserved := slices.ContainsFunc(claim.Status.ReservedFor, func(r resourcev1.ResourceClaimConsumerReference) bool { return r.UID == pod.UID })
	if pod.Spec.NodeName != "" && (claim.Status.Allocation == nil || !reserved) {
		return fmt.Errorf("it is on node %s, and its claim holds no device for it", pod.Spec.NodeName)
	}
	return nil
}

// of is the claim of a pod, nil if it has none.
func (c Claims) of(pod *corev1.Pod) *resourcev1.ResourceClaim {
	for _, r := range pod.Spec.ResourceClaims {
		i := slices.IndexFunc(c.List, func(x resourcev1.ResourceClaim) bool {
			return x.Namespace == pod.Namespace && r.ResourceClaimName != nil && x.Name == *r.ResourceClaimName
		})
		if i >= 0 && len(c.List[i].Spec.Devices.Requests) == 1 {
			return &c.List[i]
		}
	}
	return nil
}

// held are how many claims have each device for themselves. Those that several may share
// are left out.
func (c Claims) held() map[string]int {
	held := map[string]int{}
	for _, claim := range c.List {
		if claim.Status.Allocation == nil {
			continue
		}
		for _, d := range claim.Status.Allocation.Devices.Results {
			if d.ShareID == nil {
				held[strings.Join([]string{d.Driver, d.Pool, d.Device}, "/")]++
			}
		}
	}
	return held
}

// Twice are the devices that more than one claim has.
func (c Claims) Twice() (found []string) {
	for device, n := range c.held() {
		if n > 1 {
			found = append(found, fmt.Sprintf("%d claims have device %s", n, device))
		}
	}
	slices.Sort(found)
	return found
}

// StuckBeside says of the pods that wait which are stuck beside an idle device of a kind
// that they may have. CPUs are left out.
func (c Claims) StuckBeside(pods []*corev1.Pod, kinds func(*corev1.Pod) []accel.Kind) (stuck []string) {
	held, idle := c.held(), map[accel.Kind]string{}
	for _, s := range c.Slices {
		for _, d := range s.Spec.Devices {
			id := strings.Join([]string{s.Spec.Driver, s.Spec.Pool.Name, d.Name}, "/")
			attribute := d.Attributes[accel.AttributeKind]
			if kind := attribute.StringValue; kind != nil && len(d.Taints) == 0 && held[id] == 0 {
				idle[accel.Kind(strings.ToUpper(*kind))] = id
			}
		}
	}
	for _, p := range pods {
		if !ledger.Waiting(p) {
			continue
		}
		for _, kind := range kinds(p) {
			if id := idle[kind]; id != "" && kind != accel.CPU {
				stuck = append(stuck, fmt.Sprintf("pod %s/%s waits for %s beside the idle device %s: %s", p.Namespace, p.Name, p.Annotations[accel.SelectedAnnotation], id, p.Annotations[accel.ReasonAnnotation]))
			}
		}
	}
	return stuck
}
