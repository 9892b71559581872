package readmit

import (
	"crypto/hmac"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	sealed "heteroaccel.io/pkg/record"
)

// intentPurpose is what the code of an intent is for.
const intentPurpose = "heteroaccel.io/intended.v1"

// intend is the annotation with which a dry run of ours names the kind that the
// pod would be given.
func intend(key []byte, p place, kind accel.Kind) string {
	return string(kind) + " " + p.code(key, kind)
}

// Intended is the kind that a dry run of ours names for a pod, given its
// controller's UID, or "", and its name. ok is false for anybody else's.
func Intended(annotations map[string]string, key []byte, namespace string, owner types.UID, name string) (kind accel.Kind, ok bool) {
	said, code, found := strings.Cut(annotations[accel.IntendedAnnotation], " ")
	kind = accel.Kind(said)
	if !found || !hmac.Equal([]byte(code), []byte(placeOf(namespace, owner, name).code(key, kind))) {
		return "", false
	}
	return kind, true
}

func (p place) code(key []byte, kind accel.Kind) string {
	return sealed.Code(key, intentPurpose, p.namespace, string(p.owner), p.name, string(kind))
}
