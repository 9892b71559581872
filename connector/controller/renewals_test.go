package controller

import (
	"encoding/json"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/connector/session"
)

func lease(t *testing.T, holder, name string, times map[string]int64) *coordinationv1.Lease {
	t.Helper()
	content, err := json.Marshal(times)
	if err != nil {
		t.Fatal(err)
	}
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{renewalsAnnotation: string(content)}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder},
	}
}

// TestRenewals: the last renewal counts, whichever replica took it.
func TestRenewals(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := &session.Session{ID: "a", TTL: time.Minute, Created: now.Add(-30 * time.Second)}
	r := newRenewals()
	if !r.last("a").IsZero() {
		t.Error("nobody renewed it")
	}
	if r.renew("me", s, now) {
		t.Error("half a minute is left: it can wait for the next write")
	}
	if len(r.dirty) != 1 || !r.last("a").Equal(now) {
		t.Errorf("%d parts to write, last %v", len(r.dirty), r.last("a"))
	}
	if !r.renew("me", &session.Session{ID: "b", TTL: time.Minute, Created: now.Add(-51 * time.Second)}, now) {
		t.Error("the others would let it expire in nine seconds: it must be written now")
	}
	other := partName("other", partOf("a"))
	r.take(lease(t, "other", other, map[string]int64{"a": now.Unix() + 7}), "me", now.Add(10*time.Second))
	if !r.last("a").Equal(now.Add(7 * time.Second)) {
		t.Errorf("last %v, want the other replica's", r.last("a"))
	}
	r.take(lease(t, "other", other, map[string]int64{"a": now.Unix() + 3}), "me", now.Add(10*time.Second))
	if !r.last("a").Equal(now.Add(7 * time.Second)) {
		t.Error("time was turned back")
	}
	r.take(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: other, Annotations: map[string]string{renewalsAnnotation: "{"}}}, "me", now)
	r.forget("a")
	if !r.last("a").IsZero() || len(r.of(other)) != 0 {
		t.Error("an ended session is remembered")
	}
}

// TestRestartKnowsItsOwnRenewals, and does not take its own writes for news.
func TestRestartKnowsItsOwnRenewals(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	r := newRenewals()
	name := partName("me", partOf("a"))
	r.take(lease(t, "me", name, map[string]int64{"a": now.Unix()}), "me", now)
	if !r.last("a").Equal(now) || !r.stored[partOf("a")] || !r.written["a"].Equal(now) {
		t.Errorf("last %v, stored %v", r.last("a"), r.stored)
	}
	s := &session.Session{ID: "a", TTL: time.Minute, Created: now.Add(-time.Hour)}
	if r.renew("me", s, now.Add(10*time.Second)) {
		t.Error("it was written ten seconds ago")
	}
	r.take(lease(t, "me", name, map[string]int64{"a": now.Unix()}), "me", now)
	if !r.of(name)["a"].Equal(now.Add(10 * time.Second)) {
		t.Error("an old write of our own replaced what we know")
	}
}

// TestNamesThatBeginAlike: a replica whose name begins with another's is another.
func TestNamesThatBeginAlike(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	r := newRenewals()
	name := partName("me-2", partOf("a"))
	for after := range int64(3) {
		r.take(lease(t, "me-2", name, map[string]int64{"a": now.Unix() + after}), "me", now.Add(time.Minute))
	}
	if !r.last("a").Equal(now.Add(2 * time.Second)) {
		t.Errorf("last %v: the other replica's renewals are taken for our own", r.last("a"))
	}
	if len(r.stored)+len(r.written) > 0 {
		t.Errorf("its part is taken for one of ours: %v", r.stored)
	}
}

// TestObsolete: what a replica that is gone has written goes with the last of its
// sessions, and nothing of our own.
func TestObsolete(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	r := newRenewals()
	gone := partName("gone", partOf("a"))
	r.take(lease(t, "gone", gone, map[string]int64{"a": now.Unix()}), "me", now)
	r.renew("me", &session.Session{ID: "b", TTL: time.Minute, Created: now}, now)
	there := func(string) bool { return true }
	if got := r.obsolete("me", there); len(got) > 0 {
		t.Errorf("%v are obsolete while their sessions live", got)
	}
	if got := r.obsolete("me", func(string) bool { return false }); len(got) != 1 || got[0] != gone {
		t.Errorf("%v are obsolete, want %s alone", got, gone)
	}
}

// TestClocksOfOtherReplicas: a session that another replica renews lives for its TTL,
// however far that replica's clock is from ours.
func TestClocksOfOtherReplicas(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, skew := range map[string]time.Duration{"right": 0, "ahead": 5 * time.Hour, "late": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRenewals()
			other := partName("other", partOf("a"))
			write := func(renewed, wrote time.Time) *coordinationv1.Lease {
				l := lease(t, "other", other, map[string]int64{"a": renewed.Add(skew).Unix()})
				l.Spec.RenewTime = &metav1.MicroTime{Time: wrote.Add(skew)}
				return l
			}
			r.take(write(now, now), "me", now)
			if r.last("a").After(now) {
				t.Errorf("renewed at %v, which is to come", r.last("a"))
			}
			// It was renewed 2 s before this was written, and not since.
			last := now.Add(58 * time.Second)
			for _, wrote := range []time.Time{now.Add(time.Minute), now.Add(2 * time.Minute)} {
				r.take(write(last, wrote), "me", wrote)
				r.take(write(last, wrote), "me", wrote.Add(time.Minute)) // no news
				if !r.last("a").Equal(last) {
					t.Errorf("written at %v: renewed at %v, want %v", wrote, r.last("a"), last)
				}
			}
		})
	}
}

func TestSince(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	tests := map[string]struct{ renewed, created, want time.Time }{
		"in between":   {now.Add(-time.Minute), now.Add(-time.Hour), now.Add(-time.Minute)},
		"ahead":        {now.Add(5 * time.Hour), now.Add(-time.Hour), now},
		"late":         {now.Add(-5 * time.Hour), now.Add(-time.Minute), now.Add(-time.Minute)},
		"all is ahead": {now.Add(5 * time.Hour), now.Add(time.Hour), now},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			if got := since(c.renewed, c.created, now); !got.Equal(c.want) {
				t.Errorf("renewed at %v, want %v", got, c.want)
			}
		})
	}
}
