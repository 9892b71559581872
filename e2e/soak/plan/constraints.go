package plan

import (
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GroupLabel marks pods that keep apart from others of the group, whosever
// they are.
const GroupLabel = "soak/group"

// drawConstraints draws where an owner's pods may not run. What would leave
// one of them no node at all is not drawn.
func (p *Plan) drawConstraints(r *rand.Rand, o *Owner) {
	spec := &o.Template.Spec
	if chance(r, 25) {
		spec.Tolerations = []corev1.Toleration{{Key: ReservedTaint, Operator: corev1.TolerationOpExists}}
	}
	switch {
	case chance(r, 15):
		spec.PriorityClassName = Low
	case chance(r, 15):
		spec.PriorityClassName = High
	case !o.Ends && chance(r, 5):
		spec.PriorityClassName = Urgent
	}
	if o.Sort == DaemonSet {
		p.drawPool(r, o)
		return
	}
	if chance(r, 15) {
		p.try(o, func(s *corev1.PodSpec) {
			s.NodeSelector = map[string]string{ZoneLabel: fmt.Sprintf("zone-%d", r.IntN(3))}
		})
	}
	switch r.IntN(10) {
	case 0, 1:
		p.apart(o, map[string]string{OwnerLabel: o.Name}, nil)
	case 2:
		group := fmt.Sprintf("group-%d", r.IntN(3))
		o.Template.Labels[GroupLabel] = group
		var everywhere *metav1.LabelSelector
		if chance(r, 50) {
			everywhere = &metav1.LabelSelector{}
		}
		p.apart(o, map[string]string{GroupLabel: group}, everywhere)
	case 3, 4:
		p.spread(o)
	}
	if p.namespace(o.Namespace).Level == "privileged" && chance(r, 15) && o.Count <= len(p.nodes(o)) {
		spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8000, HostPort: int32(8000 + r.IntN(3))}}
	}
	p.drawVolumes(r, o)
}

// drawPool ties a DaemonSet to a pool, and counts its nodes.
func (p *Plan) drawPool(r *rand.Rand, o *Owner) {
	for {
		o.Template.Spec.NodeSelector = map[string]string{PoolLabel: fmt.Sprintf("pool-%d", r.IntN(pools))}
		if o.Count = len(p.nodes(o)); o.Count > 0 {
			return
		}
	}
}

// try changes a spec if its pods still have nodes then.
func (p *Plan) try(o *Owner, change func(*corev1.PodSpec)) {
	before := o.Template.Spec.DeepCopy()
	change(&o.Template.Spec)
	if len(p.nodes(o)) == 0 {
		o.Template.Spec = *before
	}
}

// apart keeps an owner's pods off nodes that have a pod with the labels.
func (p *Plan) apart(o *Owner, labels map[string]string, namespaces *metav1.LabelSelector) {
	if o.Count > len(p.nodes(o)) {
		return
	}
	o.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: labels}, NamespaceSelector: namespaces,
		}},
	}}
}

// spread has an owner's pods be as many in each zone.
func (p *Plan) spread(o *Owner) {
	zones := map[string]bool{}
	for _, node := range p.nodes(o) {
		zones[p.NodeLabels[node][ZoneLabel]] = true
	}
	if len(zones) < 3 && o.Template.Spec.NodeSelector[ZoneLabel] == "" {
		return // the zone without would hold up the others
	}
	o.Template.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: ZoneLabel, WhenUnsatisfiable: corev1.DoNotSchedule,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{OwnerLabel: o.Name}},
	}}
}
