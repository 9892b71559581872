package inventory

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/quota"
)

// quotaOf is a quota of the namespace default as its status has it.
func quotaOf(name string, hard, used map[string]string, scopes ...corev1.ResourceQuotaScope) *quota.Quota {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	q.Spec.Scopes = scopes
	q.Status.Hard, q.Status.Used = amounts(hard), amounts(used)
	return quota.Of(q)
}

func amounts(from map[string]string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, amount := range from {
		list[corev1.ResourceName(name)] = resource.MustParse(amount)
	}
	return list
}

func oneGPU(used string) *quota.Quota {
	return quotaOf("gpus", map[string]string{"requests." + gpu: "1"}, map[string]string{"requests." + gpu: used})
}

// TestQuotaInDecisions follows a namespace's one GPU from decision to decision.
func TestQuotaInDecisions(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 4)))
	w.SetQuota(oneGPU("0"))
	ask := func(q Query) *Refusal {
		t.Helper()
		q.Options = []Option{wants(gpu)}
		return w.Decide(q, func([]Candidate) int { return 0 }).Refused
	}
	dry := Query{Namespace: "default"}
	check := func(when string, q Query, refused bool) {
		t.Helper()
		if got := ask(q); (got != nil) != refused {
			t.Errorf("%s: %v, want refused: %v", when, got, refused)
		}
	}
	check("at first", dry, false)
	check("at first", Query{Namespace: "default", Reservation: "a"}, false)
	check("while it is reserved", dry, true)
	check("in another namespace", Query{Namespace: "other"}, false)
	check("for whom it was reserved, in a dry run", Query{Namespace: "default", Release: "a"}, false)
	check("after that dry run", dry, true)
	check("for another namespace's pod", Query{Namespace: "other", Release: "a", Reservation: "b"}, false)
	check("after that", dry, true)
	check("for whom it was reserved", Query{Namespace: "default", Release: "a", Reservation: "c"}, false)

	before := w.Reservations()
	check("a choice that is refused", Query{Namespace: "default", Reservation: "d"}, true)
	if n := w.Reservations(); n != before {
		t.Errorf("a choice that is refused was reserved: %d, want %d", n, before)
	}
	// The pod comes before its quota's count, or after it: it counts once.
	w.SetPod(aPod("p", asks(gpu, "1"), ours("GPU", "c")))
	check("when its pod has come", dry, true)
	w.SetQuota(oneGPU("1"))
	check("when the count has come too", dry, true)
	w.SetQuota(quotaOf("gpus", map[string]string{"requests." + gpu: "2"}, map[string]string{"requests." + gpu: "1"}))
	check("when it is raised", dry, false)
	w.SetQuota(oneGPU("1"))
	check("when it is lowered", dry, true)
	w.SetPod(aPod("p", asks(gpu, "1"), ours("GPU", "c"), phase(corev1.PodSucceeded)))
	check("until the end of its pod is counted", dry, true)
	w.SetQuota(oneGPU("0"))
	check("then", dry, false)

	w.SetQuota(oneGPU("1"))
	w.DeleteQuota("default", "another")
	check("when another quota goes", dry, true)
	w.DeleteQuota("default", "gpus")
	check("when the quota is gone", dry, false)
	w.SetPod(aPod("q", asks(gpu, "1")))
	w.SetQuota(oneGPU("0"))
	check("when it is new, and a pod was there before", dry, true)
}

// TestQuotaAfterTheEnd: while the API server still counts a pod that ended, the
// next one decided about counts in addition to it.
func TestQuotaAfterTheEnd(t *testing.T) {
	two := func(used string) *quota.Quota {
		return quotaOf("gpus", map[string]string{"requests." + gpu: "2"}, map[string]string{"requests." + gpu: used})
	}
	for name, c := range map[string]struct {
		end     func(*world)
		then    func(*world)
		refused bool
	}{
		"at once":                {func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), phase(corev1.PodSucceeded))) }, func(*world) {}, true},
		"it is being deleted":    {func(w *world) { w.SetPod(aPod("p", asks(gpu, "1"), deleted)) }, func(*world) {}, true},
		"it is gone":             {func(w *world) { w.DeletePod("default", "p") }, func(*world) {}, true},
		"once the count is less": {func(w *world) { w.DeletePod("default", "p") }, func(w *world) { w.SetQuota(two("0")) }, false},
		"when only more counts":  {func(w *world) { w.DeletePod("default", "p") }, func(w *world) { w.SetQuota(two("2")) }, true},
		"after a while":          {func(w *world) { w.DeletePod("default", "p") }, func(w *world) { w.now = w.now.Add(3 * time.Second) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.SetNode(aNode("g", has(gpu, 4)))
			w.SetPod(aPod("p", asks(gpu, "1")))
			w.SetQuota(two("1"))
			c.end(w)
			if first := w.reserve("r", wants(gpu)); first.Refused != nil {
				t.Fatalf("the first is refused: %s", first.Refused)
			}
			c.then(w)
			if got := w.look(wants(gpu)).Refused; (got != nil) != c.refused {
				t.Errorf("the next: %v, want refused: %v", got, c.refused)
			}
		})
	}
}

// TestQuotaWakeups: a quota with more room may help a pending pod.
func TestQuotaWakeups(t *testing.T) {
	w := newWorld()
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"it comes", func() { w.SetQuota(oneGPU("0")) }, true},
		{"more is used", func() { w.SetQuota(oneGPU("1")) }, false},
		{"less is used", func() { w.SetQuota(oneGPU("0")) }, true},
		{"it counts something else", func() { w.SetQuota(quotaOf("gpus", map[string]string{"cpu": "1"}, nil)) }, true},
		{"it goes", func() { w.DeleteQuota("default", "gpus") }, true},
		{"it goes again", func() { w.DeleteQuota("default", "gpus") }, false},
	} {
		w.gained()
		step.do()
		if got := w.gained(); got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}

// TestQuotaOfMany decides about many pods at once under a quota for some of the
// idle GPUs, while an API server with a count of its own creates them, and its
// events of pods and of the quota come late and in no common order. Exactly as
// many pods get a GPU as the quota allows, and none is refused.
func TestQuotaOfMany(t *testing.T) {
	const allowed, deciders = 5, 64
	now := time.Unix(1_700_000_000, 0)
	inv := New(Options{Now: func() time.Time { return now }})
	inv.SetNode(aNode("n", has(gpu, 50), has(npu, 100)))
	quotaNow := func(used int64) *quota.Quota {
		return quotaOf("gpus", map[string]string{"requests." + gpu: fmt.Sprint(allowed)}, map[string]string{"requests." + gpu: fmt.Sprint(used)})
	}
	inv.SetQuota(quotaNow(0))
	counts, pods := make(chan int64, deciders), make(chan *Pod, deciders)
	var feeding, deciding sync.WaitGroup
	feeding.Go(func() {
		for used := range counts {
			inv.SetQuota(quotaNow(used))
		}
	})
	feeding.Go(func() {
		for p := range pods {
			inv.SetPod(p)
		}
	})
	var server sync.Mutex
	var used int64
	var refused atomic.Int64
	for i := range deciders {
		deciding.Go(func() {
			id := fmt.Sprint("p", i)
			c := inv.Decide(Query{Namespace: "default", Options: []Option{wants(gpu), wants(npu)}, Reservation: id}, func(cs []Candidate) int {
				if cs[0].Refused != nil {
					return 1
				}
				return 0
			})
			if c.Needs.Device(gpu) == 0 {
				pods <- aPod(id, asks(npu, "1"), ours("NPU", id))
				return
			}
			server.Lock()
			defer server.Unlock()
			if used == allowed {
				refused.Add(1)
				return
			}
			used++
			p := aPod(id, asks(gpu, "1"), ours("GPU", id))
			if rand.IntN(2) == 0 {
				pods <- p
				counts <- used
			} else {
				counts <- used
				pods <- p
			}
		})
	}
	deciding.Wait()
	close(counts)
	close(pods)
	feeding.Wait()
	if used != allowed || refused.Load() != 0 {
		t.Errorf("%d got a GPU and %d were refused, want %d and none", used, refused.Load(), allowed)
	}
	if n := inv.Reservations(); n != 0 {
		t.Errorf("%d reservations are left", n)
	}
}
