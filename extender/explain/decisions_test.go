package explain

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/pkg/journal"
)

// decide has the webhook decide something of each sort, in another order than that of
// the times, as from two replicas.
func (r *rig) decide() {
	for _, e := range []journal.Entry{
		{Time: extendertest.Now.Add(-3 * time.Second), What: journal.Recreated, Namespace: "default", Pod: "cam-x7k2p", Owner: "Job/cam", Inference: "face-recognition", From: "GPU", Kind: "NPU", Reason: "pod cam-x7k2p waited for GPU, and NPU is idle: the pod is recreated to run there"},
		{Time: extendertest.Now.Add(-90 * time.Second), What: journal.Chosen, Namespace: "default", GenerateName: "cam-", Owner: "Job/cam", Inference: "face-recognition", Kind: "GPU", Reason: "GPU is free (1 of 1)", Reservation: "R1", Micros: 81},
		{Time: extendertest.Now.Add(-60 * time.Second), What: journal.Denied, Namespace: "lab", Pod: "typo", Inference: "face-recogniton", Reason: `there is no InferenceProfile "face-recogniton": did you mean face-recognition?`},
		{Time: extendertest.Now.Add(-30 * time.Second), What: journal.Waits, Namespace: "default", GenerateName: "cam-", Owner: "Job/cam", Inference: "face-recognition", Kind: "GPU", Reason: "waits for GPU\x1b[2J", Refused: []journal.Refused{{Kind: "CPU", Why: "no CPU"}}},
	} {
		r.decided.Add(e)
	}
}

func TestDecisions(t *testing.T) {
	r := newRig(t)
	if _, _, text := r.get(t, "/decisions"); !strings.Contains(text, "has decided nothing since it started") {
		t.Errorf("nothing was decided:\n%s", text)
	}
	r.missing = []string{"what the webhook at 10.0.0.2:8443 decides is not shown: no route to host"}
	if _, _, text := r.get(t, "/decisions"); strings.Contains(text, "nothing") || !strings.Contains(text, "MISSING      what the webhook at 10.0.0.2:8443") {
		t.Errorf("it is not known:\n%s", text)
	}
	r.decide()
	_, _, text := r.get(t, "/decisions")
	golden(t, "decisions.txt", text)
	_, _, all := r.get(t, "/decisions?format=json")
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(all), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, "decisions.json", pretty.String())
	_, _, body := r.get(t, "/decisions?format=json&limit=2")
	var v struct {
		Decisions []struct {
			What       journal.What
			AgeSeconds float64
		}
		Missing []string
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil || len(v.Decisions) != 2 || v.Decisions[1].What != journal.Recreated || v.Decisions[1].AgeSeconds != 3 || len(v.Missing) != 1 {
		t.Errorf("%v:\n%s", err, body)
	}
	for _, limit := range []string{"0", "-1", "many", "1e9"} {
		if status, _, text := r.get(t, "/decisions?limit="+limit); status != http.StatusBadRequest || !strings.Contains(text, "a number above 0") {
			t.Errorf("limit=%s: %d %s", limit, status, text)
		}
	}
}

// TestDecisionsOfOthers: of pods that somebody may not list nothing is shown, not even of
// those that were denied.
func TestDecisionsOfOthers(t *testing.T) {
	r := newRig(t)
	r.decide()
	r.mayList = func(_ schema.GroupResource, namespace string) (bool, error) { return namespace == "lab", nil }
	_, _, text := r.get(t, "/decisions")
	if strings.Contains(text, "cam") || !strings.Contains(text, "typo") || !strings.Contains(text, "NOT SHOWN") {
		t.Errorf("of namespace lab alone:\n%s", text)
	}
	r.mayList = func(schema.GroupResource, string) (bool, error) { return false, nil }
	if _, _, text := r.get(t, "/decisions"); strings.Contains(text, "typo") || !strings.Contains(text, "no decisions on pods that you may list") {
		t.Errorf("of nothing:\n%s", text)
	}
}
