package server

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/webhook/mutate"
)

// sorts are what happened to a pod by the outcome of its review. Those that are missing
// tell nobody anything: a repeated review, and a pod that is not ours.
var sorts = map[outcome]journal.What{
	outcomeIdle:      journal.Chosen,
	outcomeWaits:     journal.Waits,
	outcomeOverQuota: journal.OverQuota,
	outcomeRefused:   journal.Denied,
}

// tell tells what was decided about a pod. A dry run decides nothing, and of callers that
// are Suspect nothing is told: anybody could have people read what they like.
func (s *Server) tell(r *request, by inventory.Caller, in mutate.Input, o outcome, ranked []policy.Ranked, refusal error, took time.Duration) {
	what, ok := sorts[o]
	if s.Decided == nil || r.DryRun || !ok || s.Inventory.Trust(by) == inventory.Suspect {
		return
	}
	m := r.Object.Metadata
	e := journal.Entry{
		What: what, Namespace: r.Namespace, Pod: m.Name, GenerateName: m.GenerateName,
		Inference: in.Request.Inference, Kind: in.Decision.Kind, Reason: in.Decision.Reason, Reservation: in.Decision.Reservation,
		Micros: took.Microseconds(),
	}
	if c := metav1.GetControllerOfNoCopy(&metav1.ObjectMeta{OwnerReferences: m.OwnerReferences}); c != nil {
		e.Owner = c.Kind + "/" + c.Name
	}
	if what == journal.Denied { // nothing was chosen that counts
		e.Kind, e.Reservation, e.Reason = "", "", refusal.Error()
	}
	for _, candidate := range ranked {
		if candidate.Refused != nil {
			e.Refused = append(e.Refused, journal.Refused{Kind: candidate.Kind, Why: candidate.Refused.String()})
		}
	}
	s.Decided(e)
}
