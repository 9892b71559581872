package explain

import (
	"strings"
	"testing"

	"heteroaccel.io/extender/extendertest"
)

// TestNotAskedHere: what this replica was not asked about, another may have been.
func TestNotAskedHere(t *testing.T) {
	r := newRig(t)
	r.SetPod(extendertest.Managed("face-0", "node-g", "GPU", nil, extendertest.GPU, "1"))
	for twofold, want := range map[bool]string{
		false: "extender     never asked, although the pod was bound",
		true:  "extender     not asked here: another replica may have been",
	} {
		r.twofold = twofold
		if _, _, text := r.get(t, "/pods/default/face-0"); !strings.Contains(text, want) {
			t.Errorf("with another replica %v: %q is not in\n%s", twofold, want, text)
		}
	}
}
