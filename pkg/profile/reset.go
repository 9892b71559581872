package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// longestReset is up to how many bytes the status has the annotation's own value.
const longestReset = 64

// resetOf returns what the status says of the annotation that resets what was
// learned, and whether that is still to be done. Removing the annotation resets
// nothing.
func resetOf(in *v1alpha1.InferenceProfile) (value string, pending bool) {
	value = in.Annotations[accel.ResetLearnedAnnotation]
	if len(value) > longestReset {
		sum := sha256.Sum256([]byte(value))
		value = "sha256:" + hex.EncodeToString(sum[:])
	}
	return value, value != "" && value != in.Status.LearnedReset
}

// reset notes in in's status that what was learned is dropped now, if that is
// pending, and reports whether it was.
func reset(in *v1alpha1.InferenceProfile, now time.Time) bool {
	value, pending := resetOf(in)
	if pending {
		since := seconds(now)
		in.Status.LearnedReset, in.Status.LearnedSince = value, &since
	}
	return pending
}
