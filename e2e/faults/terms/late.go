package terms

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Read reads an audit log, an Event in JSON on each line.
func Read(log io.Reader) (events []auditv1.Event, err error) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("decode an event of the audit log: %w", err)
		}
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return events, nil
}

// AuditID is that of a replica's n-th call.
func AuditID(replica string, n int) string { return fmt.Sprintf("%s.%d", replica, n) }

// Replica is who sent what an event is about, "" for somebody else.
func Replica(e *auditv1.Event) string {
	i := strings.LastIndexByte(string(e.AuditID), '.')
	return string(e.AuditID[:max(0, i)])
}

// held is a Lease as it was written, at the moment at which that was answered.
type held struct {
	at     time.Time
	holder string // "" when it was released
}

// Leading are the writes that only a leader makes: how many came from the replica that
// held a Lease, and those that came from another. lasts is how long a Lease does.
func Leading(events []auditv1.Event, lease string, lasts time.Duration) (leading map[string]int, late []auditv1.Event, err error) {
	var leases []held
	for i := range events {
		e := &events[i]
		if Replica(e) == "" || e.ObjectRef == nil || e.ObjectRef.Resource != "leases" || e.ObjectRef.Name != lease || refused(e) {
			continue
		}
		var written coordinationv1.Lease
		if e.RequestObject == nil || json.Unmarshal(e.RequestObject.Raw, &written) != nil {
			return nil, nil, fmt.Errorf("%s does not have what was written of the lease", e.AuditID)
		}
		h := held{at: e.StageTimestamp.Time}
		if who := written.Spec.HolderIdentity; who != nil {
			h.holder = *who
		}
		leases = append(leases, h)
	}
	slices.SortFunc(leases, func(a, b held) int { return a.at.Compare(b.at) })
	leading = map[string]int{}
	for i := range events {
		e := &events[i]
		if Replica(e) == "" || e.ObjectRef == nil || anybodys(e) {
			continue
		}
		// The last answer before the write: one on its way then is the next leader's.
		received := e.RequestReceivedTimestamp.Time
		j, _ := slices.BinarySearchFunc(leases, received, func(h held, at time.Time) int { return h.at.Compare(at) })
		if j == 0 || leases[j-1].holder != Replica(e) || received.Sub(leases[j-1].at) > lasts {
			late = append(late, *e)
		} else {
			leading[Replica(e)]++
		}
	}
	return leading, late, nil
}

// anybodys reports whether a replica may write it that does not lead.
func anybodys(e *auditv1.Event) bool {
	switch o := e.ObjectRef; o.Resource {
	case "events", "leases", "mutatingwebhookconfigurations", "tokenreviews", "subjectaccessreviews":
		return true
	case "secrets": // a certificate, or keys
		return !strings.HasPrefix(o.Name, "heteroaccel-readmission-")
	}
	return strings.Contains(e.RequestURI, "dryRun=")
}

func refused(e *auditv1.Event) bool {
	return e.ResponseStatus != nil && e.ResponseStatus.Code >= http.StatusMultipleChoices
}
