package journal

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func seqs(entries []Entry) (s []uint64) {
	for _, e := range entries {
		s = append(s, e.Seq)
	}
	return s
}

func TestSince(t *testing.T) {
	j := New(3)
	if entries, lost, _ := j.Since(0); len(entries) > 0 || lost > 0 {
		t.Fatalf("an empty journal has %v, %d lost", entries, lost)
	}
	_, _, more := j.Since(0)
	for i := range 5 {
		j.Add(Entry{Pod: fmt.Sprint("p", i)})
	}
	<-more
	for after, tt := range map[uint64]struct {
		want []uint64
		lost uint64
	}{
		0: {[]uint64{3, 4, 5}, 2},
		1: {[]uint64{3, 4, 5}, 1},
		2: {[]uint64{3, 4, 5}, 0},
		4: {[]uint64{5}, 0},
		5: {nil, 0},
		9: {[]uint64{3, 4, 5}, 2}, // of another journal
	} {
		entries, lost, _ := j.Since(after)
		if diff := cmp.Diff(tt.want, seqs(entries)); diff != "" || lost != tt.lost {
			t.Errorf("after %d: %d lost, want %d, (-want +got):\n%s", after, lost, tt.lost, diff)
		}
	}
	if New(1).ID() == j.ID() {
		t.Error("two journals have one ID")
	}
}

// TestBounded: whatever is written, an entry stays small.
func TestBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	e := Entry{Namespace: long, Pod: long, GenerateName: long, Owner: long, Inference: long, Kind: "GPU", Reason: long, Reservation: long}
	for range 100 {
		e.Refused = append(e.Refused, Refused{"GPU", long})
	}
	j := New(2)
	j.Add(e)
	got, _, _ := j.Since(0)
	size := len(fmt.Sprint(got))
	if size > 16<<10 || len(got[0].Refused) != mostRefused {
		t.Errorf("an entry has %d bytes and %d refusals", size, len(got[0].Refused))
	}
	if len(e.Refused) != 100 || e.Refused[0].Why != long {
		t.Error("the caller's entry was changed")
	}
}

func TestName(t *testing.T) {
	for want, e := range map[string]Entry{"a": {Pod: "a", GenerateName: "a-"}, "a-*": {GenerateName: "a-"}, "": {}} {
		if got := e.Name(); got != want {
			t.Errorf("%+v is called %q, want %q", e, got, want)
		}
	}
}

// TestAtOnce: readers that follow get every entry once, in order, however many write.
func TestAtOnce(t *testing.T) {
	const writers, each = 8, 200
	j := New(writers * each)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for next := uint64(0); next < writers*each; {
				entries, lost, more := j.Since(next)
				if lost > 0 {
					t.Errorf("%d are lost", lost)
					return
				}
				for _, e := range entries {
					if next++; e.Seq != next {
						t.Errorf("entry %d came where %d should", e.Seq, next)
						return
					}
				}
				if len(entries) == 0 {
					<-more
				}
			}
		})
	}
	for range writers {
		group.Go(func() {
			for range each {
				j.Add(Entry{})
			}
		})
	}
	group.Wait()
}
