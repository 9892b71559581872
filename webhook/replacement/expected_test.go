package replacement

import (
	"fmt"
	"testing"
	"time"
)

var now = time.Unix(1_700_000_000, 0)

// TestExpectations: each expected replacement is given once, to a pod of its
// origin, and no longer than it is expected.
func TestExpectations(t *testing.T) {
	var x Expectations
	set := OriginOf("ns", "owner", "whatever-1")
	first, second := &Expected{Count: 1}, &Expected{Count: 2, Reservation: "reserved"}
	x.Add(set, first, now)
	x.Add(set, second, now)
	if !x.Withdraw(set, first) || x.Withdraw(set, first) {
		t.Error("want an expectation withdrawn exactly once")
	}
	for range 2 { // peeking takes nothing
		if e, ok := x.Peek(set, now); !ok || e.Count != 2 {
			t.Errorf("got %+v, %v", e, ok)
		}
	}
	if e, ok := x.Match(OriginOf("ns", "owner", "another-name"), "r1", now); !ok || e.Count != 2 || e.Reservation != "reserved" {
		t.Errorf("got %+v, %v", e, ok)
	}
	if x.Withdraw(set, second) {
		t.Error("an expectation was withdrawn after a pod had matched it")
	}
	// No pod came of it: its controller gets it once more, and releases what the
	// first try reserved.
	if e, ok := x.Match(set, "r2", now.Add(time.Second)); !ok || e.Count != 2 || e.Reservation != "r1" {
		t.Errorf("the next try got %+v, %v", e, ok)
	}
	if x.Seen(set, "r1"); len(x.byOrigin[set]) != 1 {
		t.Error("a pod with another reservation ended the expectation")
	}
	x.Seen(set, "r2")
	if _, ok := x.Match(set, "r3", now); ok {
		t.Error("an expectation was given after its pod had been seen")
	}
	x.Add(set, &Expected{}, now)
	x.Match(set, "r4", now)
	if _, ok := x.Match(set, "r5", now.Add(retriedFor+time.Second)); ok {
		t.Error("a controller can try again for ever")
	}
	named := OriginOf("ns", "", "name")
	x.Add(named, first, now)
	for _, other := range []Origin{OriginOf("ns", "", "other"), OriginOf("other", "", "name"), OriginOf("ns", "owner", "name")} {
		if _, ok := x.Match(other, "r", now); ok {
			t.Errorf("%+v matched the expectation of another", other)
		}
	}
	if _, ok := x.Match(named, "r", now.Add(expectedFor+time.Second)); ok {
		t.Error("an expired expectation was given")
	}
	x.Add(named, first, now)
	x.AddUnlessPending(named, second, now)
	if len(x.byOrigin[named]) != 1 {
		t.Errorf("%d are expected under a name, want one", len(x.byOrigin[named]))
	}
	if x.Expire(now.Add(time.Hour)); len(x.byOrigin) != 0 {
		t.Errorf("%d origins are remembered", len(x.byOrigin))
	}
	if x.AddUnlessPending(named, second, now); len(x.byOrigin[named]) != 1 {
		t.Error("nothing is expected where nothing was")
	}
}

// TestReturn: an expectation that a pod has matched is revoked with the
// reservation of that pod, and can be expected of another origin.
func TestReturn(t *testing.T) {
	var x Expectations
	e := &Expected{Reservation: "reserved"}
	next, set := OriginOf("ns", "", "next"), OriginOf("ns", "set", "")
	x.Add(set, e, now)
	if !x.Move(e, set, next, now) || x.Move(e, set, next, now) {
		t.Error("want an expectation moved exactly once")
	}
	x.Match(next, "r", now)
	if x.Move(e, next, set, now) {
		t.Error("an expectation was moved after a pod had matched it")
	}
	if got := x.Return(e, next, set, now); got != "r" {
		t.Errorf("the reservation is %q, want that of the pod", got)
	}
	if _, ok := x.Peek(next, now); ok {
		t.Error("it is still expected under the first origin")
	}
	if got, ok := x.Match(set, "r2", now); !ok || got.Reservation != "r" {
		t.Errorf("got %+v, %v", got, ok)
	}
	if got := x.Revoke(set, e); got != "r2" || len(x.byOrigin) != 0 {
		t.Errorf("revoked with reservation %q, %d origins left", got, len(x.byOrigin))
	}
}

// TestLend: what is lent to callers that may announce pods which never come stays
// for others, and for whoever withdraws it; the pod that comes of it ends it.
func TestLend(t *testing.T) {
	var x Expectations
	set := OriginOf("ns", "owner", "")
	first, second := &Expected{Count: 1, Reservation: "one"}, &Expected{Count: 2, Reservation: "two"}
	x.Add(set, first, now)
	x.Add(set, second, now)
	for i := range 3 * maxLent {
		want := 1 + i%2 // in turn: of two at once each is given one
		if e, ok := x.Lend(set, fmt.Sprint("forged-", i), now.Add(time.Minute)); !ok || e.Count != want {
			t.Fatalf("got %+v, %v, want %d", e, ok, want)
		}
	}
	if len(first.lent) != maxLent || len(second.lent) != maxLent {
		t.Errorf("%d and %d are remembered, want %d", len(first.lent), len(second.lent), maxLent)
	}
	if !x.Withdraw(set, first) {
		t.Error("what was lent cannot be withdrawn")
	}
	if e, ok := x.Lend(set, "real", now.Add(time.Minute)); !ok || e.Count != 2 || e.Reservation != "two" {
		t.Errorf("got %+v, %v", e, ok)
	}
	if held := x.Seen(set, "another"); held != "" || len(x.byOrigin) != 1 {
		t.Errorf("another pod ended it, which held %q", held)
	}
	if held := x.Seen(set, "real"); held != "two" || len(x.byOrigin) != 0 {
		t.Errorf("its pod leaves %d, and %q is held for it", len(x.byOrigin), held)
	}
	x.Add(set, first, now)
	x.Lend(set, "forged", now)
	if e, ok := x.Match(set, "real", now); !ok || e.Reservation != "one" {
		t.Errorf("after it was lent the API server gets %+v, %v", e, ok)
	}
	if held := x.Seen(set, "real"); held != "" || len(x.byOrigin) != 0 {
		t.Errorf("its pod leaves %d, and %q is held for it", len(x.byOrigin), held)
	}
	if _, ok := x.Lend(set, "late", now); ok {
		t.Error("it is lent after its pod was seen")
	}
}

// TestProlong: one is expected for as long as it is prolonged, and no other.
func TestProlong(t *testing.T) {
	var x Expectations
	set := OriginOf("ns", "owner", "a")
	kept, other := &Expected{Count: 1}, &Expected{Count: 2}
	x.Add(set, kept, now)
	x.Prolong(set, other, now.Add(expectedFor))
	x.Prolong(set, kept, now.Add(expectedFor))
	if e, ok := x.Match(set, "r", now.Add(2*expectedFor-time.Second)); !ok || e.Count != 1 {
		t.Errorf("got %+v, %t", e, ok)
	}
	x.Prolong(set, kept, now.Add(2*expectedFor)) // it was matched
	if e, ok := x.Match(set, "r2", now.Add(2*expectedFor+retriedFor)); ok {
		t.Errorf("got %+v", e)
	}
}
