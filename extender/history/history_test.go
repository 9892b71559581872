package history

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := New(start)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBounds: whoever sends calls decides about neither the length of the UIDs
// that are kept nor that of the texts.
func TestBounds(t *testing.T) {
	s := newStore(t)
	var call Call
	call.Reject(strings.Repeat("n", 1<<20), strings.Repeat("é", 1<<20))
	for _, text := range []string{call.Nodes[0].Name, call.Nodes[0].Message} {
		if len(text) > maxText || !utf8.ValidString(text) || !strings.HasSuffix(text, "…") {
			t.Errorf("a text of %d bytes is kept: %.20q", len(text), text)
		}
	}
	long := strings.Repeat("u", 1<<20)
	s.SetFilter(long, call)
	s.SetPreemption(long, call)
	if s.filters.Len()+s.preemptions.Len() > 0 {
		t.Error("a UID of 1 MiB is kept")
	}
}

func TestLastCalls(t *testing.T) {
	s := newStore(t)
	var call Call
	for i := range MaxNodes + 5 {
		call.Reject(fmt.Sprintf("n-%d", i), "no")
	}
	if call.Rejected != MaxNodes+5 || len(call.Nodes) != MaxNodes {
		t.Errorf("%d rejected, %d kept", call.Rejected, len(call.Nodes))
	}
	s.SetFilter("a", Call{Passed: 1})
	s.SetFilter("a", Call{Passed: 2})
	s.SetPreemption("a", Call{Passed: 3})
	s.SetFilter("", Call{Passed: 4})
	filter, _ := s.Filter("a")
	preemption, _ := s.Preemption("a")
	if diff := cmp.Diff([]Call{{Passed: 2}, {Passed: 3}}, []Call{filter, preemption}); diff != "" {
		t.Errorf("last calls (-want +got):\n%s", diff)
	}
	if _, ok := s.Filter(""); ok {
		t.Error("a pod without a UID has a call")
	}
}

// The answer is No only where no call can have been forgotten.
func TestAsked(t *testing.T) {
	s := newStore(t)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	for i := range maxPods + 1 { // the call of second 1 makes room
		s.SetFilter(fmt.Sprint(i), Call{Time: at(i + 1)})
	}
	tests := map[string]struct {
		uid     string
		created time.Time
		want    Asked
	}{
		"asked":                               {"1", at(0), Yes},
		"created before the store began":      {"x", at(-1), Unknown},
		"created when a call was forgotten":   {"x", at(1), Unknown},
		"the forgotten one":                   {"0", at(0), Unknown},
		"created since the forgotten call":    {"x", at(2), No},
		"asked, though created very long ago": {"2", at(-100), Yes},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := s.Asked(tt.uid, tt.created); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
