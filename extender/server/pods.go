package server

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

// podView is one pod that was given an accelerator, as JSON.
type podView struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Inference string `json:"inference,omitempty"`
	// Kind is the kind the pod was given.
	Kind  accel.Kind      `json:"kind,omitempty"`
	Phase corev1.PodPhase `json:"phase,omitempty"`
	// Node is where it is bound, "" while it waits.
	Node string `json:"node,omitempty"`
	// Created and Started, when its first container did, are nil when unknown.
	Created    *time.Time `json:"created,omitempty"`
	Started    *time.Time `json:"started,omitempty"`
	AgeSeconds float64    `json:"ageSeconds"`
	// Reason is the sentence that explains the kind, as the decision left it.
	Reason string `json:"reason,omitempty"`

	waits bool
}

// podsView is what /pods shows.
type podsView struct {
	Pods []*podView `json:"pods"`
}

func (s *server) pods(*http.Request) (view, error) {
	v := &podsView{Pods: []*podView{}}
	for _, p := range s.inventory.Managed() {
		v.Pods = append(v.Pods, s.viewPod(p))
	}
	return v, nil
}

func (s *server) viewPod(p *inventory.Pod) *podView {
	v := &podView{
		Namespace: p.Namespace, Name: p.Name, Node: p.Node, waits: p.Node == "" && !p.Done,
		Inference: p.Managed.Inference, Kind: p.Managed.Kind, Reason: p.Managed.Reason,
	}
	if p.Run != nil {
		v.Phase = p.Run.Phase
		v.Created, v.Started = known(p.Run.Created), known(p.Run.Started)
		if v.Created != nil {
			v.AgeSeconds = max(0, s.inventory.Now().Sub(p.Run.Created).Seconds())
		}
	}
	return v
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// where is the pod's node, or Pending.
func (v *podView) where() string {
	if v.waits {
		return string(corev1.PodPending)
	}
	return cmp.Or(v.Node, string(v.Phase))
}

func (v *podView) age() string {
	if v.Created == nil {
		return "-"
	}
	return ago(v.AgeSeconds)
}

func (v *podsView) text(p *page) {
	if len(v.Pods) == 0 {
		p.line("No pod was given an accelerator yet: annotate one with " + accel.InferenceAnnotation + ".")
		return
	}
	t := table{head: []string{"NAMESPACE", "NAME", "INFERENCE", "KIND", "NODE", "AGE", "REASON"}, cut: true}
	for _, pod := range v.Pods {
		t.add(pod.Namespace, pod.Name, pod.Inference, string(pod.Kind), pod.where(), pod.age(), pod.Reason)
	}
	p.table(&t)
}

// podDetail is what /pods/{namespace}/{name} shows.
type podDetail struct {
	podView
	UID string `json:"uid"`
	// Waiting says what an unbound pod waits for.
	Waiting *waitView `json:"waiting,omitempty"`
	// Filter is what the last filter call of kube-scheduler came to, if there
	// was one that is still remembered.
	Filter *filterView `json:"filter,omitempty"`
}

// filterView is what the last filter call for a pod came to.
type filterView struct {
	Time       time.Time `json:"time"`
	AgeSeconds float64   `json:"ageSeconds"`
	// Passed and Rejected count nodes.
	Passed   int `json:"passed"`
	Rejected int `json:"rejected"`
	// Nodes are the first of the rejected ones.
	Nodes []standing `json:"nodes"`
}

func (s *server) pod(r *http.Request) (view, error) {
	namespace, name := param(r, "namespace"), param(r, "name")
	p := s.inventory.Pod(namespace, name)
	switch {
	case p == nil:
		return nil, missing(fmt.Sprintf("there is no pod %q in namespace %q: see /pods for those there are", name, namespace))
	case p.Managed == nil:
		return nil, missing(fmt.Sprintf("pod %q in namespace %q asked for no accelerator of HeteroAccel's when it was created: annotate pods with %s", name, namespace, accel.InferenceAnnotation))
	}
	v := &podDetail{podView: *s.viewPod(p), UID: string(p.UID)}
	if v.waits {
		v.Waiting = s.viewWait(p)
	}
	if last, ok := s.memory.recall(v.UID); ok {
		f := &filterView{last.time, max(0, s.inventory.Now().Sub(last.time).Seconds()), last.passed, last.rejected, []standing{}}
		for _, n := range last.some {
			f.Nodes = append(f.Nodes, standing{n.node, rejected, n.message})
		}
		v.Filter = f
	}
	return v, nil
}

func (v *podDetail) text(p *page) {
	p.field(0, "pod", v.Namespace+"/"+v.Name)
	p.field(0, "inference", cmp.Or(v.Inference, "-"))
	p.field(0, "kind", cmp.Or(string(v.Kind), "-"))
	p.field(0, "node", v.where())
	p.field(0, "phase", cmp.Or(string(v.Phase), "-"))
	p.field(0, "age", v.age())
	p.field(0, "why", cmp.Or(v.Reason, "the annotation that explains it is gone"))
	if v.Waiting != nil {
		v.Waiting.text(p)
	}
	if v.Filter != nil {
		v.Filter.text(p)
	}
}

func (v *filterView) text(p *page) {
	p.line("")
	p.field(0, "scheduler", fmt.Sprintf("asked %s ago; of the nodes it had left, %d passed and %d were rejected",
		ago(v.AgeSeconds), v.Passed, v.Rejected))
	if len(v.Nodes) == 0 {
		return
	}
	p.line("")
	t := table{head: []string{"REJECTED", "BECAUSE"}}
	for _, n := range v.Nodes {
		t.add(n.Node, n.Message)
	}
	p.table(&t)
	if more := v.Rejected - len(v.Nodes); more > 0 {
		p.line(fmt.Sprintf("and %d more", more))
	}
}
