package apiproxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestWrites: a write has an audit ID of the proxy's, is noted as it began and ended,
// and what changes nothing is not.
func TestWrites(t *testing.T) {
	p, client := started(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // it did not come to its end
		}
		fmt.Fprintf(w, "%s %s", r.Header.Get("Audit-ID"), body)
	})
	tests := []struct {
		method, path string
		body         io.Reader
		says         string
		ended        bool
	}{
		{"POST", "pods", strings.NewReader("all"), "webhook.1 all", true},
		{"DELETE", "pods/a", nil, "webhook.2 ", true},
		{"GET", "pods/a", nil, " ", true},
		{"POST", "pods?dryRun=All", strings.NewReader("all"), " all", true},
		{"POST", "pods", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errors.New("no more"))), "", false},
	}
	began := time.Now()
	var want []Write
	for _, c := range tests {
		r, err := http.NewRequest(c.method, p.URL()+"/api/v1/namespaces/n/"+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if (err == nil) != c.ended {
			t.Fatalf("%s %s: error %v", c.method, c.path, err)
		}
		if err != nil {
			break // the last one
		}
		said, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(said) != c.says {
			t.Errorf("%s %s: %q, want %q; error %v", c.method, c.path, said, c.says, err)
		}
	}
	create := Call{Verb: "create", Resource: "pods", Namespace: "n"}
	want = []Write{
		{Call: create, AuditID: "webhook.1"},
		{Call: Call{Verb: "delete", Resource: "pods", Namespace: "n", Name: "a"}, AuditID: "webhook.2"},
		{Call: create, AuditID: "webhook.3"},
	}
	eventually(t, "the last one has come", func() bool { return len(p.Writes()) == len(want) })
	got := p.Writes()
	for i := range got {
		if w := got[i]; w.Began.Before(began) || w.Ended.IsZero() != (i == len(got)-1) || !w.Ended.IsZero() && w.Ended.Before(w.Began) {
			t.Errorf("%s began at %s and ended at %s", w.AuditID, w.Began, w.Ended)
		}
		got[i].Began, got[i].Ended = time.Time{}, time.Time{}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}
