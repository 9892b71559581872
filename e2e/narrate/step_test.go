package narrate

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWriteSteps(t *testing.T) {
	began := time.Unix(1e9, 0)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	var out strings.Builder
	err := WriteSteps(&out, began,
		Step{Name: "it is asked for", Seen: "accepted", At: at(4)},
		Step{Name: "a kind is chosen", Seen: "GPU: GPU is free (1 of 1), a run takes 76ms; NPU free, 146ms; FPGA free, 250ms", Took: 1500 * time.Microsecond},
		Step{Name: "its pod is there", Seen: "face", At: at(14)},
		Step{Name: "told of too early", Seen: "node g", At: at(12)},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := `   AFTER    TOOK     STEP
①  4.0ms    4.0ms    it is asked for
                     accepted
②           1.5ms    a kind is chosen
                     GPU: GPU is free (1 of 1), a run takes 76ms; NPU free,
                     146ms; FPGA free, 250ms
③  14.0ms   10.0ms   its pod is there
                     face
④  12.0ms   0.0ms    told of too early
                     node g
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := WriteSteps(&out, began, Step{Name: "never seen"}); !errors.Is(err, ErrShown) || !strings.Contains(err.Error(), "①, never seen") {
		t.Errorf("of a step that was not seen: %v", err)
	}
}
