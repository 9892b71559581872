package replacement

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
)

// successorPurpose is what the code of a succession is for.
const successorPurpose = "heteroaccel.io/successor.v1"

// Succession says which pod one that was created first replaces. It is all that
// is needed to finish a replacement, and stands in an annotation of the new pod.
type Succession struct {
	SetName string // the ReplicaSet that is to adopt the new pod
	SetUID  types.UID
	Hash    string // the value of pod-template-hash by which it selects its pods
	OldName string // the pod that still waits, or serves
	OldUID  types.UID
	// Serving is set when the pod before it serves until this one is ready.
	Serving bool
}

// serving stands in the annotation of a succession that is Serving.
const serving = "serving"

// Seal is the annotation's value for the new pod of a name. It is valid for no
// other pod: a copy of it deletes and adopts nobody's pod.
func (s Succession) Seal(keys *record.Keys, namespace, name string) string {
	return strings.Join(append(s.content(), keys.Code(s.parts(namespace, name)...)), "/")
}

func (s Succession) parts(namespace, name string) []string {
	return append([]string{successorPurpose, namespace, name}, s.content()...)
}

func (s Succession) content() []string {
	parts := []string{s.SetName, string(s.SetUID), s.Hash, s.OldName, string(s.OldUID)}
	if s.Serving {
		parts = append(parts, serving)
	}
	return parts
}

// SuccessionOf reads a pod's annotation; ok is false when it has none that we
// wrote for it.
func SuccessionOf(annotations map[string]string, keys *record.Keys, namespace, name string) (s Succession, ok bool) {
	parts := strings.Split(annotations[accel.SuccessorAnnotation], "/")
	switch {
	case len(parts) == 6:
	case len(parts) == 7 && parts[5] == serving:
		s.Serving = true
	default:
		return Succession{}, false
	}
	s.SetName, s.SetUID, s.Hash, s.OldName, s.OldUID = parts[0], types.UID(parts[1]), parts[2], parts[3], types.UID(parts[4])
	if !keys.Verify(parts[len(parts)-1], s.parts(namespace, name)...) {
		return Succession{}, false
	}
	return s, true
}
