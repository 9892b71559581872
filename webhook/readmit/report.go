package readmit

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
)

// tell tells what became of a pod.
func (r *Readmitter) tell(p *pending.Pod, what journal.What, to accel.Kind, reason string) {
	if r.Decided == nil {
		return
	}
	e := journal.Entry{
		What: what, Namespace: p.Namespace, Pod: p.Name, Inference: p.Template.Request.Inference,
		From: p.Template.Kind, Kind: to, Reason: reason, Reservation: p.Reservation,
	}
	if p.Controller != nil {
		e.Owner = p.Controller.Kind + "/" + p.Controller.Name
	}
	r.Decided(e)
}

// report reports the outcome: in an Event of the pod and of its controller, which
// outlives it. Why a pod is left alone is reported the first time only. The pod
// that replaces it has it in its reason.
func (r *Readmitter) report(p *pending.Pod, to accel.Kind, err error, first bool) {
	pod := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}
	verb, how, what := "recreate", "recreated", journal.Recreated
	if p.Claim != "" {
		verb, how, what = "move", "moved", journal.Moved
	}
	switch {
	case err == nil:
		message := fmt.Sprintf("pod %s waited for %s, and %s is idle: the pod is %s to run there", p.Name, p.Template.Kind, to, how)
		about := []runtime.Object{pod}
		if c := p.Controller; c != nil {
			about = append(about, &corev1.ObjectReference{APIVersion: c.APIVersion, Kind: c.Kind, Namespace: p.Namespace, Name: c.Name, UID: c.UID})
		}
		for _, o := range about {
			r.Recorder.Eventf(o, nil, corev1.EventTypeNormal, "Readmitted", "Readmission", "%s", message)
		}
		r.tell(p, what, to, message)
	case first:
		message := fmt.Sprintf("%s is idle, but the pod keeps waiting for %s: %v", to, p.Template.Kind, err)
		r.Recorder.Eventf(pod, nil, corev1.EventTypeWarning, "NotReadmitted", "Readmission", "%.900s", message)
		r.tell(p, journal.Kept, to, message)
	case !errors.Is(err, podapi.ErrChanged) && !podapi.Rejected(err):
		r.Log.Warn().Err(err).Str("pod", p.Key().String()).Msg(verb + " pod: failed, it is tried again")
	}
}
