package explain

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/extender/history"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
)

// podView is one pod that HeteroAccel admitted, as JSON.
type podView struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Inference string `json:"inference,omitempty"`
	// Kind is the kind that was chosen for the pod.
	Kind  accel.Kind      `json:"kind,omitempty"`
	Phase corev1.PodPhase `json:"phase,omitempty"`
	// Node is where it is bound, "" while it is pending.
	Node string `json:"node,omitempty"`
	// Created and Started, when its first container did, are nil when unknown.
	Created    *time.Time `json:"created,omitempty"`
	Started    *time.Time `json:"started,omitempty"`
	AgeSeconds float64    `json:"ageSeconds"`
	// Priority is the pod's. Pending pods of a kind wait in the order of priority and age.
	Priority int32 `json:"priority,omitempty"`
	// Gated is set while scheduling gates hold the pod back, and Deleted once it is
	// being deleted.
	Gated   bool `json:"gated,omitempty"`
	Deleted bool `json:"deleted,omitempty"`
	// Reason is the sentence that explains the kind, as the decision left it.
	Reason string `json:"reason,omitempty"`
	// Verdict is kube-scheduler's reason for finding no node, in its own words,
	// and VerdictTime since when it has found none.
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
	omissions
}

func (s *Pages) pods(_ *http.Request, who *viewer) (view, error) {
	v := &podsView{Pods: []*podView{}}
	for _, p := range s.NotRecreated() {
		if who.pods(p.Namespace) {
			v.NotRecreated = append(v.NotRecreated, p)
		}
	}
	for _, p := range s.Inventory.Managed() {
		if who.pods(p.Namespace) {
			v.Pods = append(v.Pods, s.viewPod(p))
		}
	}
	return v, nil
}

func (s *Pages) viewPod(p *inventory.Pod) *podView {
	v := &podView{
		Namespace: p.Namespace, Name: p.Name, Node: p.Node, waits: p.Node == "" && !p.Done,
		Inference: p.Managed.Inference, Kind: p.Managed.Kind, Reason: p.Managed.Reason,
		Priority: p.Managed.Priority, Gated: p.Gated, Deleted: p.Deleted,
		Verdict: p.Verdict, VerdictTime: known(p.VerdictTime),
	}
	if p.Run != nil {
		v.Phase = p.Run.Phase
		v.Created, v.Started = known(p.Run.Created), known(p.Run.Started)
		if v.Created != nil {
			v.AgeSeconds = max(0, s.Inventory.Now().Sub(p.Run.Created).Seconds())
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

// why is kube-scheduler's verdict on the pod, or else the reason for its kind.
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
		p.field(0, "WARNING", fmt.Sprintf("pod %s/%s was deleted to be recreated, and the API server refuses to create it (%d attempts): %s. The webhook keeps trying; the manifest is in Secret %s",
			u.Namespace, u.Name, u.Tries, u.Refused, u.Secret))
		p.line("")
	}
	if len(v.Pods) == 0 && v.NotShown != "" {
		p.line("there are no pods of ours that you may list")
		return
	}
	if len(v.Pods) == 0 {
		p.line("HeteroAccel has admitted no pod yet: annotate one with " + accel.InferenceAnnotation)
		return
	}
	var rows [][]string
	for _, pod := range v.Pods {
		rows = append(rows, []string{pod.Namespace, pod.Name, pod.Inference, string(pod.Kind), pod.where(), pod.age(), pod.why()})
	}
	p.table([]string{"NAMESPACE", "NAME", "INFERENCE", "KIND", "NODE", "AGE", "REASON"}, rows)
}

// podDetail is what /pods/{namespace}/{name} shows.
type podDetail struct {
	podView
	UID string `json:"uid"`
	// Claim is the ResourceClaim of a pod that is bound late, absent for one that is
	// bound early.
	Claim *claimView `json:"resourceClaim,omitempty"`
	// Waiting says what a pending pod waits for.
	Waiting *waitView `json:"waiting,omitempty"`
	// Asked is whether kube-scheduler asked the extender's filter about the
	// pod: yes, no, or unknown, when it may have before what is remembered.
	Asked history.Asked `json:"asked"`
	// AskedMessage is a sentence on that.
	AskedMessage string `json:"askedMessage"`
	// Filter is how kube-scheduler's last filter call for the pod ended, if that
	// is still remembered.
	Filter *callView `json:"filter,omitempty"`
	// Preemption is how the last preempt call ended: how many of the nodes on
	// which kube-scheduler would have evicted pods for this one the extender kept,
	// and which it rejected.
	Preemption *callView `json:"preemption,omitempty"`
	omissions
}

// callView is how the last call for a pod ended.
type callView struct {
	Time       time.Time `json:"time"`
	AgeSeconds float64   `json:"ageSeconds"`
	// Passed and Rejected count nodes.
	Passed   int `json:"passed"`
	Rejected int `json:"rejected"`
	// Nodes are the first of the rejected ones; none if they are not shown.
	Nodes []nodeFor `json:"nodes"`
}

func (s *Pages) pod(r *http.Request, who *viewer) (view, error) {
	namespace, name := param(r, "namespace"), param(r, "name")
	if err := who.need(podResource, namespace); err != nil {
		return nil, err
	}
	p := s.Inventory.Pod(namespace, name)
	switch {
	case p == nil:
		return nil, missing(fmt.Sprintf("there is no pod %q in namespace %q: GET /pods lists all", name, namespace))
	case p.Managed == nil && p.RecordKey != "":
		return nil, missing(fmt.Sprintf("pod %q in namespace %q has a record that was sealed with key %s, which Secret %s does not have: it keeps the kind that it waits for or has, and is not recreated for another; restore the key from a backup of the Secret, or delete the pod and create it anew", name, namespace, p.RecordKey, kube.KeySecret))
	case p.Managed == nil:
		return nil, missing(fmt.Sprintf("pod %q in namespace %q was not admitted by HeteroAccel: annotate pods with %s before they are created", name, namespace, accel.InferenceAnnotation))
	}
	v := &podDetail{podView: *s.viewPod(p), UID: string(p.UID), Claim: s.viewClaim(p)}
	// Whether there are devices for its claim is not known where claims are not watched.
	if v.waits && (s.Claims || p.Claim == "" || len(p.Needs.Devices) == 0) {
		v.Waiting = s.viewWait(p, who)
	}
	if last, ok := s.History.Filter(v.UID); ok {
		v.Filter = s.viewCall(last, who)
	}
	if last, ok := s.History.Preemption(v.UID); ok {
		v.Preemption = s.viewCall(last, who)
	}
	v.Asked, v.AskedMessage = s.asked(p, v.Filter)
	return v, nil
}

func (s *Pages) viewCall(last history.Call, who *viewer) *callView {
	v := &callView{last.Time, max(0, s.Inventory.Now().Sub(last.Time).Seconds()), last.Passed, last.Rejected, []nodeFor{}}
	if len(last.Nodes) == 0 || !who.nodes() {
		return v
	}
	for _, n := range last.Nodes {
		v.Nodes = append(v.Nodes, nodeFor{n.Name, rejected, n.Message})
	}
	return v
}

// asked says whether kube-scheduler asked the filter about a pod. It does so if
// its own plugins pass a node, and the pod requests a resource that the extender
// manages. So if it did not ask about a pending pod of these with a verdict, they passed
// none.
func (s *Pages) asked(p *inventory.Pod, last *callView) (asked history.Asked, message string) {
	var created time.Time
	if p.Run != nil {
		created = p.Run.Created
	}
	switch asked = s.History.Asked(string(p.UID), created); {
	case asked == history.Yes && last != nil:
		return asked, fmt.Sprintf("asked %s ago about %s: %d passed, %d rejected",
			ago(last.AgeSeconds), count(last.Passed+last.Rejected, "node"), last.Passed, last.Rejected)
	case p.Claim != "":
		return history.No, "not asked: kube-scheduler itself knows the devices for the pod's ResourceClaim"
	case len(p.Needs.Devices) == 0:
		return asked, "not asked: kube-scheduler asks only about pods that need a device"
	case asked == history.Unknown && created.Before(s.History.Since()):
		return asked, "unknown whether it was asked: it started " +
			ago(s.Inventory.Now().Sub(s.History.Since()).Seconds()) + " ago, after the pod was created"
	case asked == history.Unknown:
		return asked, "unknown whether it was asked: it was asked about too many other pods since"
	case !s.Alone():
		return asked, "not asked here: another replica may have been, so ask its page"
	case p.Node != "" || p.Done:
		return asked, "never asked, although the pod was bound: see / for the resources that kube-scheduler does not ask about"
	case p.Verdict != "":
		return asked, "never asked: kube-scheduler's own plugins rejected every node"
	default:
		return asked, "not asked yet"
	}
}

func (v *podDetail) text(p *page) {
	p.field(0, "pod", v.Namespace+"/"+v.Name)
	p.field(0, "inference", cmp.Or(v.Inference, "-"))
	p.field(0, "kind", cmp.Or(string(v.Kind), "-"))
	p.field(0, "node", v.where())
	if v.Claim != nil {
		p.field(0, "claim", v.Claim.String())
	}
	p.field(0, "phase", cmp.Or(string(v.Phase), "-"))
	p.field(0, "age", v.age())
	p.field(0, "why", cmp.Or(v.Reason, "unknown: the annotation with the reason was removed"))
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
		v.Filter.table(p)
	}
	if e := v.Preemption; e != nil {
		p.line("")
		p.field(0, "preemption", fmt.Sprintf("asked %s ago about evicting pods on %s: %d kept, %d rejected",
			ago(e.AgeSeconds), count(e.Passed+e.Rejected, "node"), e.Passed, e.Rejected))
		e.table(p)
	}
}

func (v *callView) table(p *page) {
	if len(v.Nodes) == 0 {
		return
	}
	p.line("")
	var rows [][]string
	for _, n := range v.Nodes {
		rows = append(rows, []string{n.Node, n.Message})
	}
	p.table([]string{"REJECTED", "BECAUSE"}, rows)
	if more := v.Rejected - len(v.Nodes); more > 0 {
		p.line(fmt.Sprintf("and %d more", more))
	}
}
