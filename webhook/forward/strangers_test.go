package forward

import (
	"net/http"
	"strings"
	"testing"
)

// TestStrangers: a review is taken from a replica alone, before its body is read.
func TestStrangers(t *testing.T) {
	ca := newAuthority(t)
	l := newLease()
	b := newReplica(t, ca.directory(t, dnsName), l)
	b.decide = says("b")
	for name, c := range map[string]struct {
		shown string
		want  int
		says  string
	}{
		"a replica":                 {ca.directory(t, dnsName), http.StatusOK, "b of"},
		"nobody":                    {"", http.StatusForbidden, "there is no certificate"},
		"of another CA":             {newAuthority(t).directory(t, dnsName), http.StatusForbidden, "unknown authority"},
		"the CA's, of another name": {ca.directory(t, "heteroaccel-extender.heteroaccel-system.svc"), http.StatusForbidden, "not heteroaccel-webhook"},
	} {
		before := b.forwardedHere()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.URL+Path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set(authenticatedHeader, yes)
		status, got, err := send(showing(t, b, c.shown), q)
		if status != c.want || !strings.Contains(got, c.says) || err != nil || (b.forwardedHere() > before) != (c.want == http.StatusOK) {
			t.Errorf("%s: %d %s, %v", name, status, got, err)
		}
	}
}

// TestStrangeLeader: nothing is sent to a server at the leader's address that is no
// replica.
func TestStrangeLeader(t *testing.T) {
	ca := newAuthority(t)
	for name, dir := range map[string]string{
		"of another CA":             newAuthority(t).directory(t, dnsName),
		"the CA's, of another name": ca.directory(t, "somebody.default.svc"),
	} {
		t.Run(name, func(t *testing.T) {
			l := newLease()
			a, x := newReplica(t, ca.directory(t, dnsName), l), newReplica(t, dir, l)
			x.decide = says("x")
			l.take(x.address())
			status, got, err := a.post(t.Context(), "1s", `{}`)
			if status != http.StatusServiceUnavailable || !strings.Contains(got, "certificate") || err != nil || x.forwardedHere() != 0 {
				t.Errorf("%d %s, %v", status, got, err)
			}
		})
	}
}

// TestAnswers: what the leader says of the review is passed on, and what it says of the
// one who forwards it is not.
func TestAnswers(t *testing.T) {
	l, dir := newLease(), newAuthority(t).directory(t, dnsName)
	a, b := newReplica(t, dir, l), newReplica(t, dir, l)
	l.take(b.address())
	for status, want := range map[int]int{
		http.StatusOK: http.StatusOK, http.StatusBadRequest: http.StatusBadRequest, http.StatusInternalServerError: http.StatusInternalServerError,
		http.StatusUnauthorized: http.StatusServiceUnavailable, http.StatusNotFound: http.StatusServiceUnavailable, http.StatusServiceUnavailable: http.StatusServiceUnavailable,
		http.StatusFound: http.StatusServiceUnavailable,
	} {
		b.decide = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			return true
		}
		if got, text, err := a.post(t.Context(), "600ms", `{}`); got != want || err != nil {
			t.Errorf("%d: %d %s, %v", status, got, text, err)
		}
	}
	b.decide = func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write(make([]byte, maxAnswer+1)) // the other gives up
		return true
	}
	if got, text, err := a.post(t.Context(), "30s", `{}`); got != http.StatusBadGateway || !strings.Contains(text, "larger than") || err != nil {
		t.Errorf("a huge answer: %d %s, %v", got, text, err)
	}
	const large = 6 << 20
	b.decide = says("b")
	if got, text, err := a.post(t.Context(), "30s", `"`+strings.Repeat("x", large)+`"`); got != http.StatusOK || len(text) < large || err != nil {
		t.Errorf("a huge review: %d, %d bytes, %v", got, len(text), err)
	}
}
