//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"heteroaccel.io/e2e/faults/apiproxy"
	"heteroaccel.io/e2e/faults/terms"
	"heteroaccel.io/e2e/stack"
)

// auditPolicy has the API server log every write that comes through a proxy, with what
// was written. Other writes of the administrator, as whom proxies reach it, are logged
// too, and have audit IDs of another form.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
omitManagedFields: true
rules:
- level: Request
  users: [admin]
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// auditFlags are the API server's, and log is where it writes.
func auditFlags(t *testing.T) (flags []string, log string) {
	t.Helper()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	log = filepath.Join(filepath.Dir(policy), "audit.log")
	return []string{"--audit-policy-file=" + policy, "--audit-log-path=" + log}, log
}

// stop is a time for which a leader was stopped.
type stop struct {
	replica string
	// from is when it was told to stop, and to when it was told to go on: between them
	// another replica has led for as long as a lease lasts.
	from, to time.Time
}

// TestPausedLeader: the replica that decides is stopped in the middle of its writes,
// another leads, and the first goes on. What it has begun by then may still reach the API
// server, and does no harm; it begins nothing more, and every pod runs once.
func TestPausedLeader(t *testing.T) {
	flags, log := auditFlags(t)
	x := startWith(t, flags, "webhook", "webhook-2")
	l := lease{x, "heteroaccel-webhook", []string{"webhook", "webhook-2"}}
	x.service(t, l.replicas)
	var stops []stop
	for _, nth := range []int{1, 2, 3, 5, 8} {
		x.under(t, fault{name: fmt.Sprintf("leader stopped at its write %d", nth), breaks: func(ctx context.Context) (string, error) {
			s, err := l.stopped(ctx, nth)
			if err == nil {
				stops = append(stops, s)
			}
			return s.replica + " for " + s.to.Sub(s.from).Round(time.Second).String(), err
		}}, x.wave)
	}
	file, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	events, err := terms.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	leading, late, err := terms.Leading(events, l.name, leaseLasts)
	if err != nil {
		t.Fatal(err)
	}
	if len(leading) != len(l.replicas) {
		t.Errorf("writes of replicas that led: %v, want some of each: it proves nothing", leading)
	}
	said := x.underWay(t, stops, late)
	count(t, "leader stopped in the middle of its writes: %d times, %d writes of replicas that led, %s; %d pods", len(stops), sum(leading), said, x.pods)
}

// stopped stops the leader as its n-th write of a pod, a claim or a record reaches the proxy, when
// others are about to be sent, and has it go on once another has led for as long as a
// lease lasts. It returns when that has found that it does not lead.
func (l lease) stopped(ctx context.Context, nth int) (s stop, err error) {
	if s.replica, err = l.led(ctx, anybody); err != nil {
		return s, err
	}
	p, proxy := l.Process(s.replica), l.proxies[s.replica]
	var mu sync.Mutex
	n, stopping := 0, make(chan error, 1)
	proxy.Set(func(_ context.Context, c apiproxy.Call, send apiproxy.Send) (*http.Response, error) {
		if c.Changes() && slices.Contains([]string{"pods", "secrets", "resourceclaims"}, c.Resource) {
			mu.Lock()
			if n++; n == nth {
				stopping <- p.Signal(syscall.SIGSTOP)
			}
			mu.Unlock()
		}
		return send()
	})
	defer proxy.Set(nil)
	soon, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case err = <-stopping:
	case <-soon.Done():
		err = fmt.Errorf("the %s has made %d writes within a minute, want %d", s.replica, n, nth)
	}
	if err != nil {
		return s, err
	}
	s.from = time.Now()
	_, err = l.led(ctx, func(now string) bool { return now != s.replica })
	if err == nil {
		err = pause(ctx, leaseLasts)
	}
	s.to = time.Now()
	if err := errors.Join(err, p.Signal(syscall.SIGCONT)); err != nil {
		return s, err
	}
	return s, until(ctx, func(ctx context.Context) error {
		values, err := stack.Metrics(ctx, l.URL(s.replica+" status", "/metrics"))
		if err == nil && values["heteroaccel_webhook_leading"] != 0 {
			err = fmt.Errorf("the %s takes itself for the leader", s.replica)
		}
		return err
	})
}

// underWay checks that late writes, those of a replica that did not lead when they
// arrived, are of stops, are no more than what a replica has under way, and did no harm.
// It says what became of them.
func (x *site) underWay(t *testing.T, stops []stop, late []auditv1.Event) string {
	t.Helper()
	arrived := map[string]apiproxy.Write{}
	for _, p := range x.proxies {
		for _, w := range p.Writes() {
			arrived[w.AuditID] = w
		}
	}
	outcomes := map[terms.Outcome]int{}
	of := make([]map[string]int, len(stops)) // how many for each object, by stop
	for i := range late {
		e := &late[i]
		w, known := arrived[string(e.AuditID)]
		what := fmt.Sprintf("%s of %s %s at %s by %s, answered %d", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name, e.RequestReceivedTimestamp.Format("15:04:05.000"), terms.Replica(e), e.ResponseStatus.Code)
		j := slices.IndexFunc(stops, func(s stop) bool {
			return s.replica == terms.Replica(e) && !w.Began.Before(s.from.Add(-time.Second)) && w.Began.Before(s.to.Add(leaseLasts))
		})
		outcome, err := terms.OutcomeOf(e)
		t.Logf("late: %s: %s; its head was there at %s and all of it at %s", what, outcome, w.Began.Format("15:04:05.000"), w.Ended.Format("15:04:05.000"))
		switch {
		case err != nil:
			t.Error(err)
		case !known || j < 0:
			t.Errorf("%s, though that was not stopped", what)
		default:
			t.Logf("… %s after it was told to stop, %s after it was told to go on", w.Began.Sub(stops[j].from), w.Began.Sub(stops[j].to))
			if of[j] == nil {
				of[j] = map[string]int{}
			}
			// Of one pod, claim or record a replica begins a write when it has the answer to
			// the one before. As many pods are recreated, or moved, at once as devices were
			// freed, and as many claims created as it has workers.
			object, most := e.ObjectRef.Resource+" "+e.ObjectRef.Name, each
			if x.late {
				most += 16
			}
			if of[j][object]++; of[j][object] > 1 || len(of[j]) > most {
				t.Errorf("%s: not all of these were under way when it was stopped: %v", what, of[j])
			}
			outcomes[outcome]++
		}
	}
	parts := []string{fmt.Sprintf("%d that were under way arrived later", len(late))}
	for _, o := range slices.Sorted(maps.Keys(outcomes)) {
		parts = append(parts, fmt.Sprintf("%d %s", outcomes[o], o))
	}
	return strings.Join(parts, ", ")
}

func sum(counts map[string]int) (all int) {
	for _, n := range counts {
		all += n
	}
	return all
}
