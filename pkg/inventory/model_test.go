package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unique"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/telemetry"
)

// history is all that an inventory was told: the last of each object.
type history struct {
	nodes   map[string]*Node
	pods    map[string]*Pod
	scrapes map[string]telemetry.Scrape
	claims  claimHistory
}

// node computes a node's record from scratch.
func (h *history) node(name string) *Node {
	n := *h.nodes[name]
	h.claims.addTo(&n)
	for _, key := range slices.Sorted(maps.Keys(h.pods)) {
		p := h.claims.record(h.pods[key])
		if p.releasing() && p.Node == name {
			n.releasing = append(n.releasing, p)
		}
		if p.Node != name || p.Done {
			continue
		}
		n.Pods++
		n.Held = n.Held.Plus(p.counts(), 1)
		if p.Managed != nil || len(p.Needs.Devices) > 0 || len(p.Holds().Devices) > 0 {
			n.Holders = append(n.Holders, p)
		}
	}
	if s, ok := h.scrapes[name]; ok {
		n.Telemetry = &s
		n.updateBlocked()
	}
	return &n
}

// sums computes, node by node, what a decision should see without claims.
func (h *history) sums(o Option, now time.Time) sums {
	var c sums
	for name := range h.nodes {
		n := h.node(name)
		total := n.FitsEmpty(o.Needs)
		if total == 0 || !o.Constraints.Allow(n) {
			continue
		}
		fresh := n.Fresh(now, 15*time.Second)
		c.Nodes++
		if !fresh {
			c.Stale++
		}
		c.Total += total
		c.Usable += n.Fits(o.Needs, fresh)
	}
	return c
}

// waiting counts the pending pods of a resource, "" for our CPU pods.
func (h *history) waiting(resource string) (n int) {
	for _, p := range h.pods {
		if p.Node != "" || p.Done || p.Gated || p.Deleted {
			continue
		}
		if h.claims.record(p).counts().Device(resource) > 0 || resource == "" && p.Managed != nil && len(p.Needs.Devices) == 0 {
			n++
		}
	}
	return n
}

func (inv *Inventory) waitingFor(resource string) (n int) {
	for _, s := range inv.claiming {
		if s.needs.Device(resource) > 0 || resource == "" && len(s.needs.Devices) == 0 {
			n += int(s.claims)
		}
	}
	return n
}

func sameUsage(a, b unique.Handle[quota.Usage]) bool { return a == b }

func sorted(n *Node) Node {
	m := *n
	m.index, m.fresh = 0, false
	m.Held.Devices = slices.Clone(m.Held.Devices)
	slices.SortFunc(m.Held.Devices, func(a, b resources.Devices) int { return cmp.Compare(a.Resource, b.Resource) })
	m.Holders = slices.Clone(m.Holders)
	slices.SortFunc(m.Holders, func(a, b *Pod) int { return cmp.Compare(a.Key(), b.Key()) })
	m.releasing = slices.Clone(m.releasing)
	slices.SortFunc(m.releasing, func(a, b *Pod) int { return cmp.Compare(a.Key(), b.Key()) })
	return m
}

// modelOptions are asked about all along: every resource, restricted or not.
func modelOptions() []Option {
	return []Option{
		wants(gpu), wants(npu), wants(fpga), wants(""), wants(gpuClass), wants(npuClass), wants(gpuClass, asks("cpu", "2")),
		wants(gpu, selects("room", "1")), wants(gpu, asks(npu, "1")), wants(npu, asks("memory", "20Gi")),
		wants("", tolerates("x")), wants(gpu, prefersNode("n3"), prefers(3, room("1"))), wants(npu, prefers(1, room("0"))), wants(gpu, affinity(nodeNamed(corev1.NodeSelectorOpIn, "n1", "n2"))),
	}
}

// TestAnySequenceOfEventsEqualsStartingOver applies random events and compares
// what the inventory derived step by step with what is computed from scratch.
func TestAnySequenceOfEventsEqualsStartingOver(t *testing.T) {
	const seeds, steps = 20, 300
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			w := newWorld()
			quotas := []*quota.Quota{
				quotaOf("all", map[string]string{"requests." + gpu: "9", "cpu": "9", "memory": "9Gi"}, nil),
				quotaOf("some", map[string]string{"requests." + npu: "9"}, nil, corev1.ResourceQuotaScopeNotBestEffort),
			}
			for _, q := range quotas {
				w.SetQuota(q)
			}
			h := &history{map[string]*Node{}, map[string]*Pod{}, map[string]telemetry.Scrape{}, newClaimHistory()}
			options := modelOptions()
			var log []string
			for range steps {
				log = append(log, step(r, w, h))
				if !agreeOnSums(t, w, h, options[r.IntN(len(options))]) || len(log)%50 == 0 && !agreeOnRecords(t, w, h) {
					t.Fatalf("after %d events, the last of them:\n%s", len(log), strings.Join(log[max(0, len(log)-8):], "\n"))
				}
			}
			again := startOver(w, h)
			for _, o := range options {
				agreeOnSums(t, w, h, o)
				want, got := again.look(o), w.look(o)
				if diff := gocmp.Diff(sumsOf(want), sumsOf(got)); diff != "" {
					t.Errorf("option %+v, claims included (-want +got):\n%s", o.Needs, diff)
				}
				if want.PreferredNode != got.PreferredNode || want.PreferredWeight != got.PreferredWeight {
					t.Errorf("option %+v: prefers %s, %d, want %s, %d", o.Needs, got.PreferredNode, got.PreferredWeight, want.PreferredNode, want.PreferredWeight)
				}
			}
			var recounted quota.Ledger
			for _, q := range quotas {
				recounted.Set(q, w.quotaPods("default"))
			}
			if diff := gocmp.Diff(recounted.Counted("default"), w.quotas.Counted("default")); diff != "" {
				t.Errorf("quotas count (-want +got):\n%s", diff)
			}
			empty(t, w, h)
		})
	}
}

// startOver tells another inventory the last of each object. Claims are placed
// in the order of the nodes' indexes, so these have to be the same.
func startOver(w *world, h *history) *world {
	again := newWorld()
	again.now = w.now
	for _, n := range w.byIndex {
		if n == nil {
			again.byIndex = append(again.byIndex, nil)
			continue
		}
		if h.nodes[n.Name] == nil {
			again.byIndex = append(again.byIndex, nil) // only its pods are known
			continue
		}
		m := *h.nodes[n.Name]
		m.index = len(again.byIndex)
		again.nodes[m.Name] = &m
		again.byIndex = append(again.byIndex, &m)
	}
	for _, s := range h.scrapes {
		again.SetTelemetry(s)
	}
	for _, p := range h.pods {
		again.SetPod(p)
	}
	h.claims.tell(again, h.pods)
	return again
}

// agreeOnSums compares what a decision sees, and how many pods are pending.
func agreeOnSums(t *testing.T, w *world, h *history, o Option) bool {
	t.Helper()
	ok := true
	got := sumsOf(w.look(o))
	got.Claimed, got.Queued = 0, 0
	if want := h.sums(o, w.now); got != want {
		t.Errorf("option %+v: got %+v, want %+v", o.Needs, got, want)
		ok = false
	}
	for _, resource := range []string{gpu, npu, gpuClass, npuClass, ""} {
		if got, want := w.waitingFor(resource), h.waiting(resource); got != want {
			t.Errorf("%d pods wait for %q, want %d", got, resource, want)
			ok = false
		}
	}
	return ok
}

// agreeOnRecords compares the nodes' records.
func agreeOnRecords(t *testing.T, w *world, h *history) bool {
	t.Helper()
	ok := true
	nodes := w.Nodes()
	if len(nodes) != len(h.nodes) {
		t.Errorf("%d nodes, want %d", len(nodes), len(h.nodes))
		return false
	}
	for _, n := range nodes {
		want := sorted(h.node(n.Name))
		if diff := gocmp.Diff(want, sorted(n), gocmp.AllowUnexported(Node{}, traits{}, Pod{}, podClaims{}), gocmp.Comparer(sameUsage), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("node %s (-want +got):\n%s", n.Name, diff)
			ok = false
		}
	}
	return ok
}

// empty deletes everything again: nothing may be left.
func empty(t *testing.T, w *world, h *history) {
	t.Helper()
	for name := range h.nodes {
		w.DeleteNode(name)
	}
	for _, p := range h.pods {
		w.DeletePod(p.Namespace, p.Name)
	}
	h.claims.empty(t, w)
	if len(w.nodes) != 0 || len(w.pods) != 0 || len(w.pending) != 0 || len(w.claiming) != 0 {
		t.Errorf("left behind: %d nodes, %d pods, %d waiting, %d queues", len(w.nodes), len(w.pods), len(w.pending), len(w.claiming))
	}
	for name, counted := range w.quotas.Counted("default") {
		for resource, n := range counted {
			if n != 0 {
				t.Errorf("quota %s counts %d of %s in an empty inventory", name, n, resource)
			}
		}
	}
	if w.claimedPreferences != 0 || len(w.preferred) > maxTables {
		t.Errorf("%d preferences of claims, and %d in all, in an empty inventory", w.claimedPreferences, len(w.preferred))
	}
	if len(w.classes) != len(w.withTable) {
		t.Errorf("%d classes but %d tables", len(w.classes), len(w.withTable))
	}
	for _, s := range w.withTable {
		if t0 := s.table; t0.nodes != 0 || t0.total != 0 || t0.usable != 0 || t0.ending != 0 || t0.nodesEnding != 0 || t0.stale != 0 {
			t.Errorf("a table of an empty inventory has sums %+v", *t0)
		}
	}
}
