package barepod

import (
	"encoding/json"
	"testing"
	"time"

	"heteroaccel.io/webhook/replacement"
)

// TestExpectAfterRestart: what a stored record says of the pod that it replaces is
// expected again, also from when its deadline counts.
func TestExpectAfterRestart(t *testing.T) {
	rec := Record{Namespace: "ns", Name: "p", From: "GPU", To: "NPU", Count: 3, FirstAdmitted: time.Unix(1_700_000_000, 5e6).UTC()}
	stored, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	var read Record
	if err := json.Unmarshal(stored, &read); err != nil {
		t.Fatal(err)
	}
	r := New(Config{Expected: &replacement.Expectations{}})
	r.expect(&read)
	e, ok := r.Expected.Peek(replacement.OriginOf("ns", "", "p"), time.Now())
	if !ok || e.Kind != "NPU" || e.Count != 3 || !e.FirstAdmitted.Equal(rec.FirstAdmitted) {
		t.Errorf("got %+v, %v, want the record's", e, ok)
	}
}
