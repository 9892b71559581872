package inventory

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// Volume is what is kept of a PersistentVolume: on which nodes it can be used.
// VolumeOf reads it; it is immutable.
type Volume struct {
	Name string
	// affinity is nil for a volume that has none.
	affinity *nodeaffinity.LazyErrorNodeSelector
	zones    []zone
	// key is the same for volumes that can be used on the same nodes, "" for
	// anywhere.
	key string
}

// zone is a topology label of a volume: a node that has any topology label must
// have this one, under the same name or the current one, with one of the values.
type zone struct {
	label, current string
	values         []string
}

// topology are the labels that kube-scheduler's VolumeZone plugin reads, each
// with its current name.
var topology = [...][2]string{
	{corev1.LabelFailureDomainBetaZone, corev1.LabelTopologyZone},
	{corev1.LabelFailureDomainBetaRegion, corev1.LabelTopologyRegion},
	{corev1.LabelTopologyZone, corev1.LabelTopologyZone},
	{corev1.LabelTopologyRegion, corev1.LabelTopologyRegion},
}

// VolumeOf reduces a volume of the API server to its record.
func VolumeOf(pv *corev1.PersistentVolume) *Volume {
	v := &Volume{Name: pv.Name}
	if a := pv.Spec.NodeAffinity; a != nil && a.Required != nil {
		v.affinity = nodeaffinity.NewLazyErrorNodeSelector(a.Required)
		key, err := a.Required.Marshal()
		if err != nil { // equal to no other
			key = fmt.Appendf(nil, "%p", v)
		}
		v.key = "affinity " + string(key)
	}
	for _, names := range topology {
		value, ok := pv.Labels[names[0]]
		if !ok {
			continue
		}
		z := zone{label: names[0], current: names[1], values: strings.Split(value, "__")}
		for i := range z.values {
			z.values[i] = strings.TrimSpace(z.values[i])
		}
		if slices.Contains(z.values, "") {
			continue // VolumeZone ignores what it cannot read
		}
		v.zones = append(v.zones, z)
		v.key += "\x00" + names[0] + "=" + value
	}
	return v
}

// allows reports whether the volume can be used on a node with these labels.
func (v *Volume) allows(labels map[string]string) bool {
	if v.affinity != nil {
		// Without the node's name, as in VolumeBinding: matchFields do not count.
		ok, err := v.affinity.Match(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: labels}})
		if !ok || err != nil {
			return false
		}
	}
	if len(v.zones) == 0 || !zoned(labels) {
		return true
	}
	for _, z := range v.zones {
		value, ok := labels[z.label]
		if !ok {
			value, ok = labels[z.current]
		}
		if !ok || !slices.Contains(z.values, value) {
			return false
		}
	}
	return true
}

// zoned reports whether a node has any topology label.
func zoned(labels map[string]string) bool {
	for _, names := range topology {
		if _, ok := labels[names[0]]; ok {
			return true
		}
	}
	return false
}

// maxVolumeClaims bounds the volume claims that are read of a pod: where more of them
// can be used kube-scheduler alone knows.
const maxVolumeClaims = 256

// VolumeClaimsOf names the volume claims of a pod's volumes, those of its
// ephemeral volumes only when the pod's name is given: the first 256.
func VolumeClaimsOf(volumes []corev1.Volume, pod string) []string {
	var claims []string
	for i := range volumes {
		if len(claims) == maxVolumeClaims {
			break
		}
		switch v := &volumes[i]; {
		case v.PersistentVolumeClaim != nil:
			claims = append(claims, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil && pod != "":
			claims = append(claims, pod+"-"+v.Name)
		}
	}
	return claims
}
