package replacement

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
)

// intentPurpose is what the code of an intent is for.
const intentPurpose = "heteroaccel.io/intended.v1"

// SealIntent is the value of the annotation with which a dry run of ours names
// the kind that the pod of an origin would be given.
func SealIntent(keys *record.Keys, o Origin, kind accel.Kind) string {
	return string(kind) + " " + keys.Code(intentParts(o, kind)...)
}

// IntendedKind is the kind that a dry run of ours names for a pod, given its
// controller's UID, or "", and its name. ok is false when anybody else wrote the
// annotation, or when there is none.
func IntendedKind(annotations map[string]string, keys *record.Keys, namespace string, controller types.UID, name string) (kind accel.Kind, ok bool) {
	named, code, found := strings.Cut(annotations[accel.IntendedAnnotation], " ")
	kind = accel.Kind(named)
	if !found || !keys.Verify(code, intentParts(OriginOf(namespace, controller, name), kind)...) {
		return "", false
	}
	return kind, true
}

func intentParts(o Origin, kind accel.Kind) []string {
	return []string{intentPurpose, o.Namespace, string(o.Controller), o.Name, string(kind)}
}
