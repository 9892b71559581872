package refusals

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
)

var start = time.Unix(1_700_000_000, 0)

// bed is a memory whose clock moves when told.
type bed struct {
	*Memory
	now time.Time
}

func newBed() *bed {
	b := &bed{now: start}
	b.Memory = New(func() time.Time { return b.now })
	return b
}

func (b *bed) after(d time.Duration) { b.now = b.now.Add(d) }

func (b *bed) against(o Owner, kind accel.Kind) string {
	if r := b.Refusal(o, "", kind); r != nil {
		return r.Reason
	}
	return ""
}

var owner = OwnerOf("ns", "rs", "rs-abc", "rs-")

const forbidden = `Error creating: pods "rs-x7k2p" is forbidden: maximum cpu usage per Container is 1, but limit is 2`

// A report with the API server's message is enough.
func TestCreateFailed(t *testing.T) {
	tests := map[string]struct {
		message string
		lost    []string
		want    string
	}{
		"forbidden":              {forbidden, []string{"r"}, "was refused by the API server: maximum cpu usage per Container is 1, but limit is 2"},
		"invalid":                {`Pod "rs-x" is invalid: spec.x: Invalid value`, []string{"r"}, `was refused by the API server: spec.x: Invalid value`},
		"another webhook":        {`Error creating: admission webhook "x.example.com" denied the request: no`, []string{"r"}, `was refused by the API server: Error creating: admission webhook "x.example.com" denied the request: no`},
		"over quota":             {`Error creating: pods "x" is forbidden: exceeded quota: q, requested: a=1, used: a=1, limited: a=1`, []string{"r"}, "was refused by the API server: exceeded quota: q, requested: a=1, used: a=1, limited: a=1"},
		"our own refusal":        {`admission webhook "pods.heteroaccel.io" denied the request: there is no InferenceProfile`, nil, ""},
		"a webhook that is away": {`Internal error occurred: failed calling webhook "x.example.com"`, nil, ""},
		"nothing of admission's": {"Error creating: the server was unable to return a response in time", nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBed()
			b.Decided(owner, "r", "GPU")
			lost, ok := b.CreateFailed(owner, tt.message)
			if diff := cmp.Diff(tt.lost, lost); diff != "" || !ok {
				t.Errorf("ok %v; to release (-want +got):\n%s", ok, diff)
			}
			if got := b.against(owner, "GPU"); got != tt.want {
				t.Errorf("against the GPU: %q, want %q", got, tt.want)
			}
			if got := b.against(owner, "NPU") + b.against(OwnerOf("ns", "other", "", ""), "GPU") + b.against(OwnerOf("other", "rs", "", ""), "GPU"); got != "" {
				t.Errorf("against others: %q", got)
			}
		})
	}
}

// While pods of several kinds are outstanding it is not known which was meant.
func TestCreateFailedAmongSeveral(t *testing.T) {
	b := newBed()
	b.Decided(owner, "g", "GPU")
	b.Decided(owner, "n", "NPU")
	if lost, ok := b.CreateFailed(owner, forbidden); ok || len(lost) > 0 {
		t.Errorf("it was told which of two kinds was refused: %v", lost)
	}
	b.Admitted("ns", "g")
	if lost, ok := b.CreateFailed(owner, forbidden); !ok || !cmp.Equal(lost, []string{"n"}) {
		t.Errorf("to release: %v, %v", lost, ok)
	}
	if b.against(owner, "GPU") != "" || b.against(owner, "NPU") == "" {
		t.Errorf("against the GPU %q, the NPU %q", b.against(owner, "GPU"), b.against(owner, "NPU"))
	}
	if lost, ok := b.CreateFailed(owner, forbidden); !ok || len(lost) > 0 {
		t.Errorf("a report of nothing outstanding released %v", lost)
	}
}

// Without a report it takes two decisions for which no pod was created.
func TestRequested(t *testing.T) {
	b := newBed()
	ask := func(id string, want ...string) {
		t.Helper()
		if got := b.Requested(owner); !cmp.Equal(got, want) {
			t.Errorf("before %s, released: %v, want %v", id, got, want)
		}
		b.Decided(owner, id, "GPU")
	}
	ask("1")
	b.after(10 * time.Millisecond)
	ask("2") // a batch of pods
	b.Admitted("ns", "1")
	b.Admitted("ns", "2")
	b.after(time.Minute)
	ask("3")
	b.after(2 * time.Second)
	ask("4", "3")
	if got := b.against(owner, "GPU"); got != "" {
		t.Errorf("one pod that was not seen may be a slow informer: %s", got)
	}
	b.after(2 * time.Second)
	ask("5", "3", "4")
	if got := b.against(owner, "GPU"); !strings.HasPrefix(got, "was refused by the API server or one of its webhooks") {
		t.Errorf("two pods that were not seen: %q", got)
	}
	b.after(firstExclusion + time.Second)
	if got := b.against(owner, "GPU"); got != "" {
		t.Errorf("it counts for ever: %s", got)
	}
	b.Decided(owner, "6", "GPU")
	b.Admitted("elsewhere", "6")
	if len(b.pending[owner]) == 0 {
		t.Error("a pod of another namespace fulfilled a decision")
	}
	b.Admitted("ns", "6")
	b.after(time.Hour)
	if b.Requested(owner); len(b.pending) > 0 {
		t.Errorf("%v are outstanding after an hour", b.pending)
	}
}

// The time doubles, an hour at most, and ends when a pod is admitted.
func TestExclusions(t *testing.T) {
	b := newBed()
	for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute} {
		b.Denied(owner, "GPU", "no")
		b.after(want - time.Second)
		if b.against(owner, "GPU") == "" {
			t.Fatalf("it does not count for %s", want)
		}
		b.after(2 * time.Second)
		if b.against(owner, "GPU") != "" {
			t.Fatalf("it counts for more than %s", want)
		}
	}
	for range 40 {
		b.Denied(owner, "GPU", "no")
	}
	b.after(maxExclusion + time.Second)
	if b.against(owner, "GPU") != "" {
		t.Error("it counts for more than an hour")
	}
	b.Denied(owner, "GPU", "no")
	b.Decided(owner, "r", "GPU")
	b.Admitted("ns", "r")
	if got := b.against(owner, "GPU"); got != "" {
		t.Errorf("it counts although a pod was admitted: %s", got)
	}
	b.Denied(owner, "GPU", "exceeded quota: q, requested: a=1, used: a=1, limited: a=1")
	b.after(quotaExclusion + time.Millisecond)
	if got := b.against(owner, "GPU"); got != "" {
		t.Errorf("a quota's refusal counts for long: %s", got)
	}
}

// The scheduler's verdict holds for a group until there is more of the kind.
func TestVerdicts(t *testing.T) {
	stands := func(usable int64, nodes int) *inventory.Candidate {
		return &inventory.Candidate{Option: inventory.Option{Kind: "GPU"}, Usable: usable, Nodes: nodes}
	}
	b := newBed()
	if b.HasVerdicts() {
		t.Error("a verdict without any")
	}
	verdict := func() string {
		if r := b.Refusal(owner, "group", "GPU"); r != nil && r.Unschedulable {
			return r.Reason
		}
		return ""
	}
	for name, changed := range map[string]*inventory.Candidate{"a device more": stands(3, 2), "a node more": stands(2, 3)} {
		b.Unschedulable("group", stands(2, 2), "0/2 nodes are available")
		b.CapacityChanged("group", stands(2, 2))
		if want := "the scheduler finds no node for it there: 0/2 nodes are available"; verdict() != want || !b.HasVerdicts() {
			t.Errorf("it says %q, want %q", verdict(), want)
		}
		if r := b.Refusal(owner, "another", "GPU"); r != nil {
			t.Errorf("another group: %s", r)
		}
		if b.CapacityChanged("group", changed); verdict() != "" {
			t.Errorf("%s changes nothing: %s", name, verdict())
		}
	}
	b.Unschedulable("group", stands(2, 2), "no")
	b.CapacityChanged("group", stands(1, 2))
	if verdict() == "" {
		t.Error("a device less ends it")
	}
	if b.CapacityChanged("group", stands(2, 2)); verdict() != "" {
		t.Error("a device that is free again changes nothing")
	}
	b.Unschedulable("group", stands(1, 1), "no")
	b.after(maxExclusion + time.Second)
	if verdict() != "" {
		t.Error("it holds for ever")
	}
}

func TestMessages(t *testing.T) {
	huge := withoutPodName(`pods "a" is forbidden: ` + strings.Repeat("ü\n", 5000))
	if len(huge) > maxMessage || strings.ContainsAny(huge, "\n") || !strings.HasSuffix(huge, "…") {
		t.Errorf("%d bytes are kept: %q", len(huge), huge)
	}
}

// What others do at the same time loses nothing and ends.
func TestAtOnce(t *testing.T) {
	m := New(time.Now)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			o := OwnerOf("ns", "", fmt.Sprint("p", g%3), "")
			for i := range 500 {
				id := fmt.Sprint(g, "-", i)
				m.Requested(o)
				m.Decided(o, id, "GPU")
				m.Refusal(o, "group", "GPU")
				m.CreateFailed(OwnerOf("ns", "nobody", "", ""), forbidden)
				m.Unschedulable("group", &inventory.Candidate{Option: inventory.Option{Kind: "GPU"}}, "no")
				m.Admitted("ns", id)
			}
		})
	}
	wg.Wait()
	if len(m.pending)+len(m.reservedFor) > 0 {
		t.Errorf("%d owners and %d reservations are remembered", len(m.pending), len(m.reservedFor))
	}
}

// However many owners decide and are never heard of again, little is kept.
func TestBounded(t *testing.T) {
	b := newBed()
	for i := range 3 * maxOwners {
		b.Decided(OwnerOf("ns", "", fmt.Sprint(i), ""), fmt.Sprint(i), "GPU")
	}
	one := OwnerOf("ns", "", "0", "")
	for i := range 3 * maxPerOwner {
		b.Decided(one, fmt.Sprint("more-", i), "GPU")
	}
	if len(b.pending) > maxOwners || len(b.pending[one]) > maxPerOwner || len(b.reservedFor) > maxOwners+maxPerOwner {
		t.Errorf("%d owners, %d of one, %d reservations", len(b.pending), len(b.pending[one]), len(b.reservedFor))
	}
	b.after(time.Minute)
	b.Decided(OwnerOf("ns", "", "new", ""), "new", "GPU")
	if len(b.pending) != 1 {
		t.Errorf("%d owners are remembered after a minute, want the new one", len(b.pending))
	}
}

// A decision that was withdrawn is waited for no more, and nothing is against its
// kind; one of another namespace is left.
func TestCanceled(t *testing.T) {
	b := newBed()
	b.Decided(owner, "r", "GPU")
	b.Decided(owner, "s", "NPU")
	b.Canceled("other", "r")
	if _, ok := b.CreateFailed(owner, forbidden); ok {
		t.Error("with two kinds outstanding it was told which was refused")
	}
	b.Canceled("ns", "r")
	if lost, ok := b.CreateFailed(owner, forbidden); !ok || len(lost) != 1 || lost[0] != "s" {
		t.Errorf("lost %v, %v, want s alone", lost, ok)
	}
	if b.against(owner, "GPU") != "" || b.against(owner, "NPU") == "" {
		t.Errorf("against the GPU %q, against the NPU %q", b.against(owner, "GPU"), b.against(owner, "NPU"))
	}
}
