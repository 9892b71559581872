package replacement

import (
	"strconv"

	"heteroaccel.io/pkg/accel"
)

// Count is how often a pod was recreated for another kind, by its annotation, 0
// to 1000. Anybody may have written that: what is no number counts as 0, and a
// huge number as 1000, after which the pod is left alone for long.
func Count(annotations map[string]string) int {
	n, err := strconv.Atoi(annotations[accel.ReadmissionsAnnotation])
	if err != nil {
		return 0
	}
	return min(max(0, n), 1000)
}
