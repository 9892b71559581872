package server

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
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
	// Verdict is why the scheduler found no node for it, in its own words, and
	// VerdictTime since when it has found none.
	Verdict     string     `json:"verdict,omitempty"`
	VerdictTime *time.Time `json:"verdictTime,omitempty"`

	waits bool
}

// podsView is what /pods shows.
type podsView struct {
	Pods []*podView `json:"pods"`
	// NotRecreated are pods without a controller that were deleted to be
	// recreated for another kind, and that the API server refuses to create.
	NotRecreated []kube.NotRecreated `json:"notRecreated,omitempty"`
}

func (s *server) pods(*http.Request) (view, error) {
	v := &podsView{Pods: []*podView{}, NotRecreated: s.unwanted()}
	for _, p := range s.inventory.Managed() {
		v.Pods = append(v.Pods, s.viewPod(p))
	}
	return v, nil
}

func (s *server) viewPod(p *inventory.Pod) *podView {
	v := &podView{
		Namespace: p.Namespace, Name: p.Name, Node: p.Node, waits: p.Node == "" && !p.Done,
		Inference: p.Managed.Inference, Kind: p.Managed.Kind, Reason: p.Managed.Reason,
		Verdict: p.Verdict, VerdictTime: known(p.VerdictTime),
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

// why is what keeps the pod waiting, by the scheduler, or else the reason for
// its kind.
func (v *podView) why() string {
	if v.Verdict != "" {
		return "unschedulable: " + v.Verdict
	}
	return v.Reason
}

func (v *podView) age() string {
	if v.Created == nil {
		return "-"
	}
	return ago(v.AgeSeconds)
}

func (v *podsView) text(p *page) {
	for _, u := range v.NotRecreated {
		p.field(0, "WARNING", fmt.Sprintf("pod %s/%s was deleted to be recreated, and the API server refuses it (%d tries): %s. It is created once that changes; its manifest is in secret %s",
			u.Namespace, u.Name, u.Tries, u.Refused, u.Secret))
		p.line("")
	}
	if len(v.Pods) == 0 {
		p.line("No pod was given an accelerator yet: annotate one with " + accel.InferenceAnnotation + ".")
		return
	}
	t := table{head: []string{"NAMESPACE", "NAME", "INFERENCE", "KIND", "NODE", "AGE", "REASON"}, cut: true}
	for _, pod := range v.Pods {
		t.add(pod.Namespace, pod.Name, pod.Inference, string(pod.Kind), pod.where(), pod.age(), pod.why())
	}
	p.table(&t)
}

// podDetail is what /pods/{namespace}/{name} shows.
type podDetail struct {
	podView
	UID string `json:"uid"`
	// Waiting says what an unbound pod waits for.
	Waiting *waitView `json:"waiting,omitempty"`
	// Asked is whether kube-scheduler asked the extender's filter about the
	// pod: yes, no, or unknown, when it may have before what is remembered.
	Asked string `json:"asked"`
	// AskedMessage is a sentence on that.
	AskedMessage string `json:"askedMessage"`
	// Filter is what the last filter call of kube-scheduler came to, if there
	// was one that is still remembered.
	Filter *filterView `json:"filter,omitempty"`
	// Preemption is the same of the last preempt call: of the nodes on which
	// the scheduler would have evicted pods for this one, those that the
	// extender left it, and those that it took out.
	Preemption *filterView `json:"preemption,omitempty"`
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
		v.Filter = s.viewVerdicts(last)
	}
	if last, ok := s.memory.recallPreemption(v.UID); ok {
		v.Preemption = s.viewVerdicts(last)
	}
	v.Asked, v.AskedMessage = s.asked(p, v.Filter)
	return v, nil
}

func (s *server) viewVerdicts(last verdicts) *filterView {
	f := &filterView{last.time, max(0, s.inventory.Now().Sub(last.time).Seconds()), last.passed, last.rejected, []standing{}}
	for _, n := range last.some {
		f.Nodes = append(f.Nodes, standing{n.node, rejected, n.message})
	}
	return f
}

// asked says whether kube-scheduler asked the filter about a pod. It does so
// when its own plugins leave it a node, and binds the pod to one of those that
// are left then: what waits unasked found none.
func (s *server) asked(p *inventory.Pod, last *filterView) (asked, message string) {
	var created time.Time
	if p.Run != nil {
		created = p.Run.Created
	}
	switch asked = s.memory.asked(string(p.UID), created); {
	case asked == wasAsked && last != nil:
		return asked, fmt.Sprintf("asked %s ago; of the nodes the scheduler had left, %d passed and %d were rejected",
			ago(last.AgeSeconds), last.Passed, last.Rejected)
	case len(p.Needs.Devices) == 0:
		return asked, "placed by the scheduler: the pod needs no device, so the extender is not asked"
	case asked == mayBeAsked && created.Before(s.memory.since):
		return asked, "not known whether it was asked: it started after the pod was created, " +
			ago(s.inventory.Now().Sub(s.memory.since).Seconds()) + " ago"
	case asked == mayBeAsked:
		return asked, "not known whether it was asked: it was asked about too many others since"
	case p.Node != "" || p.Done:
		return asked, "never asked, though the pod was bound: see / for what the scheduler does not ask about"
	case p.Verdict != "":
		return asked, "never asked: the scheduler's own plugins rejected every node, so the extender was not asked"
	default:
		return asked, "not asked yet"
	}
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
	if v.Waiting != nil {
		p.line("")
	}
	if v.Verdict != "" {
		since := ""
		if v.VerdictTime != nil {
			since = " (unschedulable since " + v.VerdictTime.UTC().Format(time.RFC3339) + ")"
		}
		p.field(0, "scheduler", v.Verdict+since)
	}
	p.field(0, "extender", v.AskedMessage)
	if v.Filter != nil {
		v.Filter.table(p, "REJECTED")
	}
	if e := v.Preemption; e != nil {
		p.line("")
		p.field(0, "preemption", fmt.Sprintf("asked %s ago; of the nodes where the scheduler would have evicted pods, %d stayed, %d taken out",
			ago(e.AgeSeconds), e.Passed, e.Rejected))
		e.table(p, "TAKEN OUT")
	}
}

func (v *filterView) table(p *page, head string) {
	if len(v.Nodes) == 0 {
		return
	}
	p.line("")
	t := table{head: []string{head, "BECAUSE"}}
	for _, n := range v.Nodes {
		t.add(n.Node, n.Message)
	}
	p.table(&t)
	if more := v.Rejected - len(v.Nodes); more > 0 {
		p.line(fmt.Sprintf("and %d more", more))
	}
}
