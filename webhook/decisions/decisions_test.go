package decisions

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/journal"
)

func clock() time.Time { return time.Unix(1_700_000_000, 0).UTC() }

// TestLog: a decision is one line with everything that it has, and with nothing that it
// has not.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	r := New(zerolog.New(&out), clock)
	r.Record(journal.Entry{
		What: journal.Waits, Namespace: "default", GenerateName: "cam-", Owner: "Job/cam", Inference: "face-recognition", Kind: "GPU",
		Reason: "waits for GPU", Refused: []journal.Refused{{Kind: "NPU", Why: "no NPU (quota team)"}}, Reservation: "R", Micros: 81,
	})
	r.Record(journal.Entry{What: journal.Denied, Namespace: "default", Pod: "typo", Reason: "there is no such profile"})
	r.Record(journal.Entry{What: journal.Moved, Namespace: "default", Pod: "cam-1", From: "GPU", Kind: "NPU", Reason: "NPU is idle"})
	want := []map[string]any{
		{"level": "info", "namespace": "default", "pod": "cam-*", "owner": "Job/cam", "inference": "face-recognition", "kind": "GPU", "reservation": "R", "refused": map[string]any{"NPU": "no NPU (quota team)"}, "took": .081, "reason": "waits for GPU", "message": "pod admitted: it waits for an accelerator"},
		{"level": "info", "namespace": "default", "pod": "typo", "reason": "there is no such profile", "message": "pod denied"},
		{"level": "info", "namespace": "default", "pod": "cam-1", "from": "GPU", "kind": "NPU", "reason": "NPU is idle", "message": "pod moved to another kind"},
	}
	var got []map[string]any
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		got = append(got, fields)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestThinned: under load lines are left out, of one sort without those of another, and
// no entry is.
func TestThinned(t *testing.T) {
	var out bytes.Buffer
	r := New(zerolog.New(&out), clock)
	began := time.Now()
	for range 1500 {
		r.Record(journal.Entry{What: journal.Chosen})
	}
	seconds := int(time.Since(began).Seconds()) + 2
	r.Record(journal.Entry{What: journal.Denied})
	chosen, denied := strings.Count(out.String(), messages[journal.Chosen]), strings.Count(out.String(), messages[journal.Denied])
	if most := burst*seconds + 1500/thinned; chosen > most || chosen < burst || denied != 1 {
		t.Errorf("%d lines of 1,500 were logged, and %d of 1 of another sort; want at most %d", chosen, denied, most)
	}
	if entries, _, _ := r.journal.Since(0); len(entries) != 1501 {
		t.Errorf("%d entries", len(entries))
	}
}

// TestMessages: every sort of entry has a message of its own.
func TestMessages(t *testing.T) {
	for _, what := range []journal.What{journal.Chosen, journal.Waits, journal.OverQuota, journal.Denied, journal.Recreated, journal.Moved, journal.Kept, journal.Lapsed} {
		if messages[what] == "" {
			t.Errorf("%s has none", what)
		}
	}
}

func read(t *testing.T, handler http.Handler, query string) (p journal.Part) {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, journal.Path+query, nil))
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
	}
	return p
}

// TestStream: a reader goes on where it stopped, waits for the next entry, and begins
// anew with the journal of another process.
func TestStream(t *testing.T) {
	r := New(zerolog.Nop(), clock)
	ctx, cancel := context.WithCancel(t.Context())
	s := r.Stream(ctx)
	r.Record(journal.Entry{What: journal.Chosen, Pod: "a"})
	first := read(t, s, "")
	if len(first.Entries) != 1 || first.Entries[0].Pod != "a" || !first.Entries[0].Time.Equal(clock()) || first.Journal == "" {
		t.Fatalf("%+v", first)
	}
	var group sync.WaitGroup
	var next journal.Part
	group.Go(func() { next = read(t, s, "?after=1&journal="+first.Journal) })
	r.Record(journal.Entry{What: journal.Denied, Pod: "b"})
	group.Wait()
	if len(next.Entries) != 1 || next.Entries[0].Pod != "b" {
		t.Errorf("next: %+v", next)
	}
	for query, want := range map[string]int{"?after=1&journal=another": 2, "?after=x&journal=" + first.Journal: 2, "?after=-1": 2, "?after=99999999999999999999": 2} {
		if p := read(t, s, query); len(p.Entries) != want {
			t.Errorf("%s: %d entries, want %d", query, len(p.Entries), want)
		}
	}
	// At the end of the process nobody is held.
	cancel()
	if p := read(t, s, "?after=2&journal="+first.Journal); p.Entries == nil || len(p.Entries) > 0 {
		t.Errorf("at the end: %+v", p)
	}
}

// TestStreamIsBounded: a part has so many entries at most, and the rest follows; what is
// not kept any more is counted.
func TestStreamIsBounded(t *testing.T) {
	r := New(zerolog.Nop(), clock)
	for range kept + 7 {
		r.Record(journal.Entry{What: journal.Chosen})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := r.Stream(ctx)
	p := read(t, s, "")
	if p.Lost != 7 {
		t.Errorf("%d are lost, want 7", p.Lost)
	}
	n := 0
	for len(p.Entries) > 0 {
		if len(p.Entries) > journal.MaxPart {
			t.Fatalf("a part has %d entries", len(p.Entries))
		}
		n += len(p.Entries)
		last, err := json.Marshal(p.Entries[len(p.Entries)-1].Seq)
		if err != nil {
			t.Fatal(err)
		}
		p = read(t, s, "?journal="+p.Journal+"&after="+string(last))
	}
	if n != kept {
		t.Errorf("%d entries were read, want %d", n, kept)
	}
}
