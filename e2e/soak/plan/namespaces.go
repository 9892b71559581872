package plan

import (
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Namespace is one of the ten, with what the API server forbids in it.
type Namespace struct {
	Name   string
	Level  string // the PodSecurity level that is enforced
	Limits *corev1.LimitRange
	Quotas []*corev1.ResourceQuota
	// Counted is set where a quota counts cores: there every container has to
	// say how many it requests.
	Counted bool
}

// Object is the namespace itself.
func (n *Namespace) Object() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: n.Name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": n.Level},
	}}
}

const namespaces = 10

// drawNamespaces draws limits of every sort. The first two namespaces forbid
// nothing, so that there is always somewhere to put what others would refuse.
func (p *Plan) drawNamespaces(r *rand.Rand) {
	levels := []string{"privileged", "privileged", "baseline", "restricted"}
	for i := range namespaces {
		n := &Namespace{Name: fmt.Sprintf("soak-%d", i), Level: "privileged"}
		if i >= 2 {
			n.Level = pick(r, levels...)
			n.Limits = drawLimits(r)
			n.drawQuotas(r, p.Size.Pods)
		}
		p.Namespaces = append(p.Namespaces, n)
	}
}

func list(pairs ...string) corev1.ResourceList { return corev1.ResourceList(limits(pairs...)) }

// drawLimits draws a LimitRange; nil for none.
func drawLimits(r *rand.Rand) *corev1.LimitRange {
	defaults := corev1.LimitRangeItem{
		Type: corev1.LimitTypeContainer, Default: list("cpu", "500m", "memory", "256Mi"), DefaultRequest: list("cpu", "100m", "memory", "128Mi"),
	}
	var items []corev1.LimitRangeItem
	switch r.IntN(6) {
	case 0:
		items = []corev1.LimitRangeItem{defaults}
	case 1: // no CPU variant
		defaults.Max = list("cpu", "1", "memory", "4Gi")
		items = []corev1.LimitRangeItem{defaults}
	case 2: // no CPU variant either
		defaults.Max = list("cpu", "4", "memory", "512Mi")
		items = []corev1.LimitRangeItem{defaults}
	case 3: // nor here, by the whole pod's limits
		items = []corev1.LimitRangeItem{defaults, {Type: corev1.LimitTypePod, Max: list("cpu", "1500m")}}
	default:
		return nil
	}
	return &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "everybody"}, Spec: corev1.LimitRangeSpec{Limits: items}}
}

// drawQuotas draws quotas of devices, cores or pods.
func (n *Namespace) drawQuotas(r *rand.Rand, pods int) {
	add := func(name string, hard corev1.ResourceList) {
		n.Quotas = append(n.Quotas, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ResourceQuotaSpec{Hard: hard}})
	}
	switch r.IntN(6) {
	case 0:
		add("gpus", list("requests."+gpu, pick(r, "0", "1", "2")))
	case 1:
		add("accelerators", list("requests."+gpu, pick(r, "1", "3"), "requests."+npu, pick(r, "0", "1", "2"), "requests."+stick, "2"))
	case 2:
		n.Counted = true
		add("compute", list("requests.cpu", pick(r, "4", "8", "12"), "requests.memory", "24Gi"))
	case 3:
		add("pods", corev1.ResourceList{"pods": *resource.NewQuantity(int64(max(4, pods/8)), resource.DecimalSI)})
		add("gpus", list("requests."+gpu, "2"))
	}
}
