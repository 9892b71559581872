package readmit

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"heteroaccel.io/pkg/accel"
)

// report tells whoever owns a pod what became of it: in an Event of the pod
// and of its controller, which outlives it. The pod that comes in its place
// says so in its reason.
func (r *Readmitter) report(w *waiter, to accel.Kind, err error, tell bool) {
	pod := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: w.namespace, Name: w.name, UID: w.uid}
	switch {
	case err == nil:
		said := fmt.Sprintf("pod %s waited for %s, and %s is idle: the pod is recreated to run there", w.name, w.class.kind, to)
		about := []runtime.Object{pod}
		if c := w.controller; c != nil {
			about = append(about, &corev1.ObjectReference{APIVersion: c.APIVersion, Kind: c.Kind, Namespace: w.namespace, Name: c.Name, UID: c.UID})
		}
		for _, o := range about {
			r.Recorder.Eventf(o, nil, corev1.EventTypeNormal, "Readmitted", "Readmission", "%s", said)
		}
		r.Log.Info().Str("pod", w.key().String()).Str("from", string(w.class.kind)).Str("to", string(to)).Int("count", w.count+1).Msg("recreated")
	case tell:
		r.Recorder.Eventf(pod, nil, corev1.EventTypeWarning, "NotReadmitted", "Readmission",
			"%.900s", fmt.Sprintf("%s is idle, but the pod goes on waiting for %s: %v", to, w.class.kind, err))
	case !errors.Is(err, errLost) && !refused(err):
		r.Log.Warn().Err(err).Str("pod", w.key().String()).Msg("could not be recreated now")
	}
}
