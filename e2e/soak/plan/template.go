package plan

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/pkg/accel"
)

// drawTemplate draws what an owner's pods look like before constraints.
func (p *Plan) drawTemplate(r *rand.Rand, o *Owner, wish string) {
	n := p.namespace(o.Namespace)
	annotations := map[string]string{accel.InferenceAnnotation: o.Inference, accel.AcceleratorAnnotation: wish}
	if o.Ends {
		pace := 0.4 + r.Float64() // in parts of what the profile says
		for _, k := range o.Kinds {
			v, _ := p.Variant(o.Inference, k)
			takes := time.Duration(pace * float64(v.ServiceTime.Duration)).Round(100 * time.Millisecond)
			annotations[cluster.DurationAnnotation+"-"+string(k)] = takes.String()
			annotations[cluster.DurationAnnotation] = takes.String()
		}
	}
	main := corev1.Container{
		Name: Container, Image: "soak/" + o.Inference, Command: []string{"./run", "-i", "cam0", "-d", strings.ToUpper(string(o.Kinds[0]))},
		SecurityContext: confined(),
	}
	switch {
	case n.Counted:
		main.Resources.Requests = list("cpu", "100m", "memory", "64Mi")
	case chance(r, 30):
		main.Resources.Requests = list("memory", "64Mi")
	case chance(r, 20):
		main.Resources = corev1.ResourceRequirements{Requests: list("cpu", "200m", "memory", "128Mi"), Limits: list("cpu", "400m", "memory", "200Mi")}
	}
	containers := []corev1.Container{main}
	if chance(r, 20) { // another one, before the inference's or behind it
		side := corev1.Container{Name: "camera", Image: "soak/camera", Args: []string{"-d", "/dev/video0"}, SecurityContext: confined()}
		if n.Counted {
			side.Resources.Requests = list("cpu", "50m", "memory", "16Mi")
		}
		if chance(r, 50) {
			containers = append(containers, side)
		} else {
			containers = append([]corev1.Container{side}, containers...)
		}
	}
	spec := corev1.PodSpec{
		Containers: containers, RestartPolicy: restart(r, o), TerminationGracePeriodSeconds: new(int64(1)),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(1000)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
	o.Template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{OwnerLabel: o.Name}, Annotations: annotations}, Spec: spec}
}

// confined is what the PodSecurity level restricted asks of a container.
func confined() *corev1.SecurityContext {
	return &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
}

func restart(r *rand.Rand, o *Owner) corev1.RestartPolicy {
	switch {
	case o.Sort == Job || o.Sort == IndexedJob:
		return pick(r, corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure)
	case o.Ends:
		return corev1.RestartPolicyNever
	}
	return corev1.RestartPolicyAlways
}

func (p *Plan) namespace(name string) *Namespace {
	for _, n := range p.Namespaces {
		if n.Name == name {
			return n
		}
	}
	panic("the plan has no namespace " + name) // its own names only
}

// drawForeign draws pods that hold devices or cores without asking us. They
// are in the first namespace, which limits nothing.
func (p *Plan) drawForeign(r *rand.Rand) {
	for i, m := range p.Machines {
		if cores := m.Cores - 3; cores > 0 && chance(r, 60) { // one run on the CPU fits, or none
			p.Foreign = append(p.Foreign, foreign(fmt.Sprintf("cores-%02d", i), m.Name, list("cpu", fmt.Sprint(cores))))
		}
		if len(m.Devices) > 0 && chance(r, 25) {
			p.Foreign = append(p.Foreign, foreign(fmt.Sprintf("device-%02d", i), m.Name, list(pick(r, m.Devices...).Resource, "1")))
		}
	}
}

func foreign(name, node string, limits corev1.ResourceList) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "soak-0", Labels: map[string]string{"soak/foreign": name}},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{corev1.LabelHostname: node}, TerminationGracePeriodSeconds: new(int64(1)),
			Tolerations:       []corev1.Toleration{{Key: ReservedTaint, Operator: corev1.TolerationOpExists}},
			PriorityClassName: Urgent,
			Containers:        []corev1.Container{{Name: "other", Image: "soak/other", Resources: corev1.ResourceRequirements{Limits: limits}}},
		},
	}
}
