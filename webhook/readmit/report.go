package readmit

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
)

// report reports the outcome: in an Event of the pod and of its controller, which
// outlives it. Why a pod is left alone is reported the first time only. The pod
// that replaces it has it in its reason.
func (r *Readmitter) report(p *pending.Pod, to accel.Kind, err error, first bool) {
	pod := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}
	verb, how := "recreate", "recreated"
	if p.Claim != "" {
		verb, how = "move", "moved"
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
		r.Log.Info().Str("pod", p.Key().String()).Str("from", string(p.Template.Kind)).Str("to", string(to)).Int("count", p.Recreations+1).Msg(verb + " pod: done")
	case first:
		r.Recorder.Eventf(pod, nil, corev1.EventTypeWarning, "NotReadmitted", "Readmission",
			"%.900s", fmt.Sprintf("%s is idle, but the pod keeps waiting for %s: %v", to, p.Template.Kind, err))
	case !errors.Is(err, podapi.ErrChanged) && !podapi.Rejected(err):
		r.Log.Warn().Err(err).Str("pod", p.Key().String()).Msg(verb + " pod: failed, it is tried again")
	}
}
