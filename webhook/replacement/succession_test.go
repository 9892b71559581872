package replacement

import (
	"strings"
	"testing"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
)

// formerCode is what the revision before keys had ids wrote for the pod next in ns.
const formerCode = "kL5iCK5Y_e_AGM0l6EQUZwYR1DT2nVAHjK9Dqsun_Es"

// TestSuccession: what stands on a pod that was created first is accepted of
// that pod only, and only if we wrote it.
func TestSuccession(t *testing.T) {
	want := Succession{SetName: "set", SetUID: "set-uid", Hash: "hash", OldName: "old", OldUID: "old-uid"}
	sealed := want.Seal(testKey, "ns", "next")
	serves := want
	serves.Serving = true
	if got, ok := SuccessionOf(map[string]string{accel.SuccessorAnnotation: serves.Seal(testKey, "ns", "next")}, testKey, "ns", "next"); !ok || got != serves {
		t.Errorf("of a pod that serves: got %+v, %v", got, ok)
	}
	for name, c := range map[string]struct {
		said, namespace, pod string
		want                 bool
	}{
		"its own":                {sealed, "ns", "next", true},
		"another name":           {sealed, "ns", "other", false},
		"another namespace":      {sealed, "other", "next", false},
		"another set":            {"x" + sealed, "ns", "next", false},
		"another key":            {want.Seal(record.NewKeys([]byte("another")), "ns", "next"), "ns", "next", false},
		"of before keys had ids": {"set/set-uid/hash/old/old-uid/" + formerCode, "ns", "next", true},
		"that, another name":     {"set/set-uid/hash/old/old-uid/" + formerCode, "ns", "other", false},
		"no code":                {"set/set-uid/hash/old/old-uid/", "ns", "next", false},
		"made one that serves":   {strings.Replace(sealed, "/old-uid/", "/old-uid/serving/", 1), "ns", "next", false},
		"made one that waits":    {strings.Replace(serves.Seal(testKey, "ns", "next"), "/serving", "", 1), "ns", "next", false},
		"too few parts":          {"set", "ns", "next", false},
		"nothing":                {"", "ns", "next", false},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := map[string]string{accel.SuccessorAnnotation: c.said}
			got, ok := SuccessionOf(annotations, testKey, c.namespace, c.pod)
			if ok != c.want || ok && got != want {
				t.Errorf("got %+v, %v, want %v", got, ok, c.want)
			}
		})
	}
}
