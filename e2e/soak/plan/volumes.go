package plan

import (
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// drawVolumes gives some owners local volumes, each on a node that has one of
// the owner's kinds. A StatefulSet's are bound before its pods come, or when
// they are; another owner's one volume is bound before.
func (p *Plan) drawVolumes(r *rand.Rand, o *Owner) {
	nodes := p.nodes(o)
	switch {
	case o.Sort == StatefulSet && chance(r, 70):
		class, late := "", chance(r, 50)
		if late {
			class = LateBinding
		}
		o.ClaimTemplates = []*corev1.PersistentVolumeClaim{claim("", "data", class, "")}
		for i := range o.Count {
			name := fmt.Sprintf("data-%s-%d", o.Name, i)
			if late { // any of them may get any of these
				p.Volumes = append(p.Volumes, volume(name, pick(r, nodes...), class, "", ""), volume(name+"-more", pick(r, nodes...), class, "", ""))
				continue
			}
			p.Volumes = append(p.Volumes, volume(name, pick(r, nodes...), class, o.Namespace, name))
			made := claim(o.Namespace, name, class, name)
			made.Labels = map[string]string{OwnerLabel: o.Name}
			o.Claims = append(o.Claims, made)
		}
	case (o.Sort == Bare || o.Sort == Deployment && o.Count == 1) && chance(r, 20):
		name := "data-" + o.Name
		p.Volumes = append(p.Volumes, volume(name, pick(r, nodes...), "", o.Namespace, name))
		o.Claims = append(o.Claims, claim(o.Namespace, name, "", name))
		o.Template.Spec.Volumes = append(o.Template.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
		}})
	default:
		return
	}
	for i := range o.Template.Spec.Containers {
		if c := &o.Template.Spec.Containers[i]; c.Name == Container {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "data", MountPath: "/data"})
		}
	}
}

var gibibyte = resource.MustParse("1Gi")

func claim(namespace, name, class, volume string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class, VolumeName: volume,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: gibibyte}},
		},
	}
}

// volume is a disk of a node, kept for a claim if that is named.
func volume(name, node, class, namespace, claim string) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: gibibyte},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: class,
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/disks/" + name}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
			}}}},
		},
	}
	if claim != "" {
		v.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: namespace, Name: claim}
	}
	return v
}
