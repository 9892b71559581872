package replacement

import (
	"testing"

	"heteroaccel.io/pkg/accel"
)

func TestCount(t *testing.T) {
	for text, want := range map[string]int{"": 0, "2": 2, "-3": 0, "x": 0, "99999999": 1000} {
		if got := Count(map[string]string{accel.ReadmissionsAnnotation: text}); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
