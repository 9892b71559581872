package inventory

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/telemetry"
)

const (
	manyNodes = 5_000
	manyPods  = 12_000
)

func nodeName(i int) string { return fmt.Sprintf("edge-node-%04d", i) }

// cluster is one of 5,000 nodes with 8 cores and one or two devices each, and
// of 12,000 pods: half of them hold a device, or as many as there are.
func cluster(busy bool) *world {
	w := newWorld(func(o *Options) {
		o.ServiceTime = func(string, accel.Kind) time.Duration { return 100 * time.Millisecond }
	})
	kinds := []string{gpu, npu, fpga}
	for i := range manyNodes {
		w.SetNode(benchNode(i))
		w.SetTelemetry(benchScrape(w.now, i, 0))
	}
	for i := range manyPods {
		w.SetPod(benchPod(w, i, kinds))
	}
	if busy {
		for i := range manyNodes {
			for _, k := range kinds {
				if n := w.nodes[nodeName(i)].Usable(k, true); n > 0 {
					w.SetPod(aPod(fmt.Sprint("busy", i, k), on(nodeName(i)), asks(k, fmt.Sprint(n)), ours("GPU", ""), since(w.now)))
				}
			}
			w.SetPod(aPod(fmt.Sprint("busy", i), on(nodeName(i)), asks("cpu", "7"), ours("CPU", ""), since(w.now)))
		}
		for i := range 500 {
			w.SetPod(aPod(fmt.Sprint("waits", i), asks([]string{gpu, npu, fpga, "cpu"}[i%4], "1"), ours("GPU", "")))
		}
	}
	return w
}

func benchNode(i int) *Node {
	options := []nodeOption{has([]string{gpu, npu, fpga}[i%3], 1), labelled("room", fmt.Sprint(i%10)), func(n *corev1.Node) {
		for k, v := range map[string]string{
			"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": n.Name,
			"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
			"node.kubernetes.io/instance-type": "edge.small", "topology.kubernetes.io/zone": fmt.Sprint("zone-", i%20),
			"topology.kubernetes.io/region": "here", "feature.node.kubernetes.io/pci-0300_8086.present": "true",
			"example.com/serial": fmt.Sprintf("SN%012d", i),
		} {
			metav1.SetMetaDataLabel(&n.ObjectMeta, strings.Clone(k), strings.Clone(v))
		}
	}}
	if i%2 == 0 {
		options = append(options, has([]string{npu, fpga, gpu}[i%3], 1))
	}
	return aNode(nodeName(i), options...)
}

func benchScrape(now time.Time, i, round int) telemetry.Scrape {
	s := telemetry.Scrape{Node: nodeName(i), Time: now, CPUCores: 8, CPUBusy: float64((i + round) % 3)}
	s.Devices = append(s.Devices, device("0000:00:02.0", []string{gpu, npu, fpga}[i%3]))
	if i%2 == 0 {
		s.Devices = append(s.Devices, device("0000:00:03.0", []string{npu, fpga, gpu}[i%3]))
	}
	return s
}

func benchPod(w *world, i int, kinds []string) *Pod {
	options := []podOption{on(nodeName(i % manyNodes)), asks("cpu", "100m"), asks("memory", "128Mi"), func(p *corev1.Pod) {
		p.UID = "0a1b2c3d-0000-4000-8000-" + p.UID
	}}
	if i < manyNodes/2 {
		options = append(options, asks(kinds[i%3], "1"), ours("GPU", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), since(w.now))
	} else {
		options = append(options, restarts)
	}
	return aPod(fmt.Sprintf("workload-7c9f8d6b5f-%05d", i), options...)
}

// fourKinds are the options of a usual decision.
func fourKinds(pod ...podOption) []Option {
	options := []Option{wants(gpu, pod...), wants(npu, pod...), wants(fpga, pod...), wants("", pod...)}
	for i, o := range options {
		options[i].Rank, options[i].Kind = i, []accel.Kind{"GPU", "NPU", "FPGA", "CPU"}[i]
		options[i].Needs = o.Needs.Plus(resources.Amounts{CPU: 100, Memory: gi / 2}, 1)
	}
	return options
}

func BenchmarkDecide(b *testing.B) {
	first := func([]Candidate) int { return 0 }
	idle := func() *world { return cluster(false) }
	cases := []struct {
		name  string
		world func() *world
		query Query
	}{
		{"idle", idle, Query{Options: fourKinds()}},
		{"selector", idle, Query{Options: fourKinds(selects("room", "3"))}},
		{"prefers-node", idle, Query{Options: fourKinds(prefersNode(nodeName(4000)))}},
		{"prefers-label", idle, Query{Options: fourKinds(prefers(5, room("3")), prefers(1, room("4")))}},
		{"reserving", idle, Query{Options: fourKinds(), Reservation: "r"}},
		{"busy-500-waiting", func() *world { return cluster(true) }, Query{Options: fourKinds()}},
		{"busy-selector", func() *world { return cluster(true) }, Query{Options: fourKinds(selects("room", "3"))}},
		{"idle-500-waiting", func() *world {
			w := idle()
			for i := range 500 {
				w.SetPod(aPod(fmt.Sprint("waits", i), asks([]string{gpu, npu, fpga, "cpu"}[i%4], "1"), ours("GPU", "")))
			}
			return w
		}, Query{Options: fourKinds()}},
		{"idle-500-waiting-each-elsewhere", func() *world {
			w := idle()
			for i := range 500 {
				w.SetPod(aPod(fmt.Sprint("waits", i), asks(gpu, "1"), affinity(nodeNamed(corev1.NodeSelectorOpIn, nodeName(i)))))
			}
			return w
		}, Query{Options: fourKinds(selects("room", "3"))}},
		{"new-preference-of-a-node", idle, Query{}},
		{"new-preference-of-8-KiB", idle, Query{}},
		{"new-class", idle, Query{}},
		{"new-class-selector", idle, Query{}},
	}
	for _, bb := range cases {
		b.Run(bb.name, func(b *testing.B) {
			w := bb.world()
			q := bb.query
			w.Decide(q2(q), first)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				switch bb.name {
				case "new-class":
					q.Options = fourKinds(asks("memory", fmt.Sprint(i)))
				case "new-preference-of-a-node":
					q.Options = fourKinds(prefersNode(nodeName(i % manyNodes)))
				case "new-preference-of-8-KiB":
					q.Options = fourKinds(largest(i)...)
				case "new-class-selector":
					q.Options = fourKinds(selects("room", fmt.Sprint(i)))
				}
				w.Decide(q, first)
			}
		})
	}
}

// largest are as many terms as a preference may have.
func largest(i int) (terms []podOption) {
	for n := range MaxPreference / 32 {
		terms = append(terms, prefers(1, expression("serial", corev1.NodeSelectorOpIn, fmt.Sprint(i, n))))
	}
	return terms
}

func q2(q Query) Query {
	if len(q.Options) == 0 {
		q.Options = fourKinds()
	}
	return q
}

func BenchmarkSet(b *testing.B) {
	w := cluster(false)
	w.Decide(Query{Options: fourKinds()}, func([]Candidate) int { return 0 })
	scrapes := [2][]telemetry.Scrape{}
	for i := range manyNodes {
		for r := range scrapes {
			scrapes[r] = append(scrapes[r], benchScrape(w.now, i, r))
		}
	}
	nodes := []*Node{benchNode(7), benchNode(7)}
	pods := []*Pod{benchPod(w, 100, []string{gpu, npu, fpga}), benchPod(w, 9000, nil)}
	ended := *pods[0]
	ended.Done = true
	b.Run("scrape", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			w.SetTelemetry(scrapes[i/manyNodes%2][i%manyNodes])
			i++
		}
	})
	b.Run("node", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			w.SetNode(nodes[i%2])
			i++
		}
	})
	b.Run("pod-ends-and-comes", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if i%2 == 0 {
				w.SetPod(&ended)
			} else {
				w.SetPod(pods[0])
			}
			i++
		}
	})
	b.Run("pod-unchanged", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.SetPod(pods[1])
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	w := cluster(false)
	for _, count := range []int{100, 500, 5000} {
		names := make([]string, count)
		for i := range names {
			names[i] = nodeName(i)
		}
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.Lookup(names)
			}
		})
	}
}

// TestMemory keeps 5,000 nodes, their telemetry, 12,000 pods and the tables of
// four decisions.
func TestMemory(t *testing.T) {
	heap := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	w := newWorld()
	start := heap()
	for i := range manyNodes {
		w.SetNode(benchNode(i))
	}
	nodes := heap()
	for i := range manyNodes {
		w.SetTelemetry(benchScrape(w.now, i, 0))
	}
	scrapes := heap()
	for i := range manyPods {
		w.SetPod(benchPod(w, i, []string{gpu, npu, fpga}))
	}
	pods := heap()
	w.Decide(Query{Options: fourKinds()}, func([]Candidate) int { return 0 })
	all := heap()
	t.Logf("bytes a node %.0f, a scrape %.0f, a pod %.0f; four tables %.0f kB; in all %.1f MB",
		(nodes-start)/manyNodes, (scrapes-nodes)/manyNodes, (pods-scrapes)/manyPods, (all-pods)/1e3, (all-start)/1e6)
	if all-start > 30e6 {
		t.Errorf("the inventory holds %.1f MB, want at most half of the 60 MB a program may use", (all-start)/1e6)
	}
	runtime.KeepAlive(w)
}
