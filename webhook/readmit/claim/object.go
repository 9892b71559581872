package claim

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/pending"
)

// of is the claim of a pod for a kind: one device of a class.
func of(p *pending.Pod, kind accel.Kind, class string) *resourcev1.ResourceClaim {
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: p.Claim,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID, Controller: new(true)}},
		},
		Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{
			Name:    requestName(kind),
			Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class},
		}}}},
	}
}

// requestName is the name of the request for a kind, a DNS label: different for
// different kinds.
func requestName(kind accel.Kind) string {
	name := strings.ToLower(string(kind))
	if len(validation.IsDNS1123Label(name)) == 0 {
		return name
	}
	sum := sha256.Sum256([]byte(kind))
	return "kind-" + hex.EncodeToString(sum[:8])
}

// state is what is known of a claim.
type state struct {
	uid types.UID
	// pod is the UID of the pod that controls it, "" for none; podName its name.
	pod     types.UID
	podName string
	// request is the name of its one request, "" where it has another number.
	request   string
	allocated bool
}

func stateOf(c *resourcev1.ResourceClaim) state {
	s := state{uid: c.UID, allocated: c.Status.Allocation != nil || len(c.Status.ReservedFor) > 0}
	if o := metav1.GetControllerOfNoCopy(c); o != nil && o.Kind == "Pod" && o.APIVersion == corev1.SchemeGroupVersion.String() {
		s.pod, s.podName = o.UID, o.Name
	}
	if r := c.Spec.Devices.Requests; len(r) == 1 {
		s.request = r[0].Name
	}
	return s
}
