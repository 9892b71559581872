package replacement

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/record"
)

var testKey = record.NewKeys([]byte(strings.Repeat("k", 32)))

// TestIntendedKind: only what was sealed for this very origin is accepted.
func TestIntendedKind(t *testing.T) {
	under := SealIntent(testKey, OriginOf("ns", "owner", "whatever"), "NPU")
	named := SealIntent(testKey, OriginOf("ns", "", "name"), "NPU")
	for name, c := range map[string]struct {
		said, namespace, pod string
		owner                types.UID
		want                 accel.Kind
	}{
		"under a controller, by any name": {under, "ns", "p-x", "owner", "NPU"},
		"by name":                         {named, "ns", "name", "", "NPU"},
		"another controller":              {under, "ns", "p-x", "other", ""},
		"another name":                    {named, "ns", "other", "", ""},
		"another namespace":               {under, "other", "p-x", "owner", ""},
		"another kind":                    {"GPU" + under[3:], "ns", "p-x", "owner", ""},
		"no code":                         {"NPU", "ns", "p-x", "owner", ""},
		"nothing":                         {"", "ns", "p-x", "owner", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := IntendedKind(map[string]string{accel.IntendedAnnotation: c.said}, testKey, c.namespace, c.owner, c.pod)
			if got != c.want || ok != (c.want != "") {
				t.Errorf("got %q, %v, want %q", got, ok, c.want)
			}
		})
	}
}
