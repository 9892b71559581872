package terms

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// line is an event at a number of seconds.
func line(id, verb, resource, name string, at, code int, object string) string {
	when := time.Unix(1_800_000_000+int64(at), 0).UTC().Format("2006-01-02T15:04:05.000000Z")
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":%q,"stage":"ResponseComplete","requestURI":"/x","verb":%q,"objectRef":{"resource":%q,"name":%q},"responseStatus":{"code":%d},"requestObject":%s,"requestReceivedTimestamp":%q,"stageTimestamp":%q}`,
		id, verb, resource, name, code, object, when, when)
}

func holds(id, who string, at, code int) string {
	return line(id, "update", "leases", "l", at, code, fmt.Sprintf(`{"spec":{"holderIdentity":%q}}`, who))
}

func write(id string, at int) string { return line(id, "delete", "pods", "p", at, 200, `{}`) }

func TestLeading(t *testing.T) {
	tests := map[string]struct {
		log     []string
		leading map[string]int
		late    []string
	}{
		"while it leads":     {[]string{holds("a.1", "a", 0, 200), write("a.2", 1), write("a.3", 6)}, map[string]int{"a": 2}, nil},
		"before it leads":    {[]string{write("a.1", 0), holds("a.2", "a", 1, 200)}, map[string]int{}, []string{"a.1"}},
		"after its lease":    {[]string{holds("a.1", "a", 0, 200), write("a.2", 7)}, map[string]int{}, []string{"a.2"}},
		"another leads":      {[]string{holds("a.1", "a", 0, 200), holds("b.1", "b", 2, 200), write("a.2", 3), write("b.2", 3)}, map[string]int{"b": 1}, []string{"a.2"}},
		"another may not":    {[]string{holds("a.1", "a", 0, 200), holds("b.1", "b", 2, 409), write("a.2", 3)}, map[string]int{"a": 1}, nil},
		"once released":      {[]string{holds("a.1", "a", 0, 200), holds("a.2", "", 1, 200), write("a.3", 2)}, map[string]int{}, []string{"a.3"}},
		"not in their order": {[]string{write("b.2", 3), holds("b.1", "b", 2, 200), holds("a.1", "a", 0, 200)}, map[string]int{"b": 1}, nil},
		"of somebody else":   {[]string{write("6f1c", 1)}, map[string]int{}, nil},
		"anybody's": {[]string{
			line("a.1", "create", "events", "e", 1, 201, `{}`),
			line("a.2", "update", "secrets", "heteroaccel-webhook-ca", 1, 200, `{}`),
			strings.Replace(line("a.3", "create", "pods", "", 1, 201, `{}`), `"/x"`, `"/x?dryRun=All"`, 1),
		}, map[string]int{}, nil},
		"a record": {[]string{line("a.1", "create", "secrets", "heteroaccel-readmission-0", 1, 201, `{}`)}, map[string]int{}, []string{"a.1"}},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			leading, late, err := Leading(read(t, c.log...), "l", 6*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, e := range late {
				ids = append(ids, string(e.AuditID))
			}
			if diff := cmp.Diff(c.leading, leading); diff != "" {
				t.Errorf("while leading (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.late, ids); diff != "" {
				t.Errorf("late (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutcomeOf(t *testing.T) {
	bound := `{"metadata":{"uid":"u","resourceVersion":"7","annotations":{"a":"b"}}}`
	tests := map[string]struct {
		verb, object string
		code         int
		want         Outcome // "" for an error
	}{
		"a conflict":                  {"patch", bound, 409, Refused},
		"not received to its end":     {"create", `null`, 500, Refused},
		"a deletion of what was seen": {"delete", `{"kind":"DeleteOptions","preconditions":{"uid":"u"}}`, 200, Unchanged},
		"a deletion of anything":      {"delete", `{"kind":"DeleteOptions"}`, 200, ""},
		"a deletion without a body":   {"delete", `null`, 200, ""},
		"a change of what was seen":   {"patch", bound, 200, Unchanged},
		"a change of anything":        {"patch", `{"metadata":{"annotations":{"a":"b"}}}`, 200, ""},
		"a change of the pod":         {"patch", `{"metadata":{"uid":"u","annotations":{"a":"b"}}}`, 200, ""},
		"a requeue":                   {"patch", `{"metadata":{"uid":"u","annotations":{"heteroaccel.io/retry":"now"}}}`, 200, Woke},
		"a requeue and more":          {"patch", `{"metadata":{"uid":"u","annotations":{"heteroaccel.io/retry":"now"}},"spec":{}}`, 200, ""},
		"an update of anything":       {"update", `{"metadata":{"name":"n"}}`, 200, ""},
		"a name of its own":           {"create", `{"metadata":{"name":"n"}}`, 201, Named},
		"any name":                    {"create", `{"metadata":{"generateName":"n-"}}`, 201, ""},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			events := read(t, line("a.1", c.verb, "pods", "p", 1, c.code, c.object))
			got, err := OutcomeOf(&events[0])
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%q, error %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestReplica(t *testing.T) {
	for id, want := range map[string]string{AuditID("webhook-2", 17): "webhook-2", "6f1c-ab": "", "": ""} {
		if got := Replica(&auditv1.Event{AuditID: types.UID(id)}); got != want {
			t.Errorf("%q is of %q, want %q", id, got, want)
		}
	}
}

func TestUnreadable(t *testing.T) {
	if _, err := Read(strings.NewReader("{")); err == nil {
		t.Error("half an event was read")
	}
	noObject := strings.Replace(holds("a.1", "a", 0, 200), `{"spec":{"holderIdentity":"a"}}`, "null", 1)
	if _, _, err := Leading(read(t, noObject), "l", time.Second); err == nil {
		t.Error("a lease was read that is not in the log")
	}
}

func read(t *testing.T, lines ...string) []auditv1.Event {
	t.Helper()
	events, err := Read(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return events
}
