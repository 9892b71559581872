package record

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
)

var key = NewKeys(bytes.Repeat([]byte{7}, 32))

func TestOf(t *testing.T) {
	const content = `{"container":"main","inference":"faces","kind":"GPU","image":{"was":"a","now":"b"}}`
	sealed := Seal(content, key, "shop", "r1")
	given := Given{Container: "main", Inference: "faces", Kind: "GPU"}
	tests := map[string]struct {
		original, reservation, namespace string
		key                              *Keys
		want                             Given
		ok                               bool
	}{
		"sealed":                  {sealed, "r1", "shop", key, given, true},
		"another namespace":       {sealed, "r1", "till", key, Given{}, false},
		"another reservation":     {sealed, "r2", "shop", key, Given{}, false},
		"another key":             {sealed, "r1", "shop", NewKeys(bytes.Repeat([]byte{8}, 32)), Given{}, false},
		"no key":                  {sealed, "r1", "shop", nil, Given{}, false},
		"no record":               {"", "r1", "shop", key, Given{}, false},
		"the kind changed":        {strings.Replace(sealed, "GPU", "NPU", 1), "r1", "shop", key, Given{}, false},
		"a code without content":  {strings.Fields(sealed)[0], "r1", "shop", key, Given{}, false},
		"too long":                {sealed + strings.Repeat(" ", 2*MaxContent), "r1", "shop", key, Given{}, false},
		"sealed, but not by JSON": {Seal("container", key, "shop", "r1"), "r1", "shop", key, Given{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := Of(map[string]string{accel.OriginalAnnotation: tt.original, accel.ReservationAnnotation: tt.reservation}, tt.namespace, tt.key)
			if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
				t.Errorf("ok %v, want %v; given (-want +got):\n%s", ok, tt.ok, diff)
			}
		})
	}
}

// TestCode: codes differ where parts are split differently, or the purpose, the
// first part, differs.
func TestCode(t *testing.T) {
	codes := map[string]string{}
	for name, parts := range map[string][]string{
		"a, bc": {"p", "a", "bc"}, "ab, c": {"p", "ab", "c"}, "abc": {"p", "abc"}, "other purpose": {"q", "abc"}, "none": {"p"},
	} {
		code := key.Code(parts...)
		if other, ok := codes[code]; ok {
			t.Errorf("%s and %s have the same code", name, other)
		}
		codes[code] = name
	}
}
