package terms

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"heteroaccel.io/pkg/accel"
)

// Outcome is what a write of a replica that did not lead came to.
type Outcome string

// The outcomes that do no harm.
const (
	// Refused is one that the API server did not carry out.
	Refused Outcome = "refused"
	// Unchanged is one that was carried out on an object which nobody had changed
	// since the replica looked at it while it led: the next leader finds what it
	// would have found a moment earlier.
	Unchanged Outcome = "carried out on what had not changed"
	// Named is an object that was created under a name which follows from what it is
	// for: the next leader creates no second one, and finishes what it finds.
	Named Outcome = "created under its one name"
	// Woke is an annotation that has kube-scheduler look at the pod again.
	Woke Outcome = "told the scheduler to look again"
)

// written is what is read of a change.
type written struct {
	Metadata      metav1.ObjectMeta     `json:"metadata"`
	Preconditions *metav1.Preconditions `json:"preconditions"`
	Spec, Status  json.RawMessage
}

// OutcomeOf says why a late write did no harm; the error is that it could have.
func OutcomeOf(e *auditv1.Event) (Outcome, error) {
	if refused(e) {
		return Refused, nil
	}
	var w written
	if e.RequestObject != nil {
		if err := json.Unmarshal(e.RequestObject.Raw, &w); err != nil {
			return "", fmt.Errorf("decode what %s wrote: %w", e.AuditID, err)
		}
	}
	m := w.Metadata
	switch {
	case e.Verb == "delete" && w.Preconditions != nil && w.Preconditions.UID != nil,
		(e.Verb == "patch" || e.Verb == "update") && m.ResourceVersion != "":
		return Unchanged, nil
	case e.Verb == "create" && m.Name != "":
		return Named, nil
	case e.Verb == "patch" && m.UID != "" && len(m.Annotations) == 1 && m.Annotations[accel.RetryAnnotation] != "" && w.Spec == nil && w.Status == nil:
		return Woke, nil
	}
	return "", fmt.Errorf("%s of %s %s by %s, which did not lead, is bound to nothing: %.300s", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name, Replica(e), raw(e))
}

func raw(e *auditv1.Event) []byte {
	if e.RequestObject == nil {
		return nil
	}
	return e.RequestObject.Raw
}
