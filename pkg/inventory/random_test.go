package inventory

import (
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/telemetry"
)

// step makes one random event happen to both.
func step(r *rand.Rand, w *world, h *history) string {
	w.now = w.now.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
	node := fmt.Sprint("n", r.IntN(6))
	pod := fmt.Sprint("p", r.IntN(20))
	if r.IntN(3) == 0 {
		defer h.claims.observe(h.pods)
		return h.claims.step(r, w, node, pod)
	}
	defer h.claims.observe(h.pods)
	switch e := r.IntN(20); {
	case e < 3:
		n := randomNode(r, node)
		h.nodes[node] = n
		w.SetNode(n)
		return "node " + node
	case e < 4:
		delete(h.nodes, node)
		delete(h.scrapes, node)
		w.DeleteNode(node)
		return "no node " + node
	case e < 14:
		p := randomPod(r, pod)
		h.pods[p.Key()] = p
		w.SetPod(p)
		return fmt.Sprintf("pod %+v", *p)
	case e < 16:
		delete(h.pods, "default/"+pod)
		w.DeletePod("default", pod)
		return "no pod " + pod
	default:
		s := randomScrape(r, node, w.now)
		old, ok := h.scrapes[node]
		// Telemetry of a node that was never shown is kept while it is fresh.
		if h.nodes[node] != nil && (!ok || !s.Time.Before(old.Time)) {
			h.scrapes[node] = s
		}
		if h.nodes[node] != nil {
			w.SetTelemetry(s)
		}
		return fmt.Sprintf("scrape %+v", s)
	}
}

func randomNode(r *rand.Rand, name string) *Node {
	var options []nodeOption
	for _, resource := range []string{gpu, npu, fpga} {
		if n := r.Int64N(4); n > 0 {
			options = append(options, capacity(resource, n), allocatable(resource, r.Int64N(n+1)))
		}
	}
	if r.IntN(4) == 0 {
		options = append(options, tainted("x", corev1.TaintEffectNoSchedule))
	}
	if r.IntN(6) == 0 {
		options = append(options, cordoned)
	}
	return aNode(name, append(options, labelled("room", fmt.Sprint(r.IntN(2))))...)
}

func randomPod(r *rand.Rand, name string) *Pod {
	options := []podOption{func(p *corev1.Pod) {
		if r.IntN(8) == 0 {
			p.UID = "recreated"
		}
	}}
	pick := func(chance int, o podOption) {
		if r.IntN(chance) == 0 {
			options = append(options, o)
		}
	}
	pick(2, on(fmt.Sprint("n", r.IntN(6))))
	pick(2, asks(gpu, fmt.Sprint(1+r.IntN(2))))
	pick(3, asks(npu, "1"))
	pick(3, asks("cpu", fmt.Sprint(1+r.IntN(4))))
	pick(4, asks("memory", "10Gi"))
	switch r.IntN(6) {
	case 0, 1:
		options = append(options, ours("GPU", fmt.Sprint(r.IntN(50))))
	case 2:
		options = append(options, late([]accel.Kind{"GPU", "NPU", accel.CPU}[r.IntN(3)], claimName(r)))
	case 3:
		options = append(options, usesClaim)
	}
	pick(6, asks(npuClass, "1"))
	pick(5, phase(corev1.PodSucceeded))
	pick(8, gated)
	pick(8, deleted)
	pick(3, restarts)
	pick(3, selects("room", "1"))
	pick(4, prefersNode(fmt.Sprint("n", r.IntN(6))))
	pick(4, prefers(int32(1+r.IntN(9)), room("1")))
	return aPod(name, options...)
}

func randomScrape(r *rand.Rand, node string, now time.Time) telemetry.Scrape {
	s := telemetry.Scrape{Node: node, Time: now.Add(-time.Duration(r.IntN(20)) * time.Second)}
	if r.IntN(2) == 0 {
		s.CPUCores, s.CPUBusy = 8, float64(r.IntN(9))
	}
	for i := range r.IntN(4) {
		d := accel.Device{Kind: "GPU", ID: fmt.Sprint(i), Resource: []string{gpu, npu, ""}[r.IntN(3)], Slots: 1 + r.IntN(2),
			Health: []accel.Health{accel.Unhealthy, accel.Healthy, accel.Healthy, accel.HealthUnknown}[r.IntN(4)]}
		if r.IntN(4) == 0 {
			d.ExternalUse = "ffmpeg"
		}
		if r.IntN(2) == 0 {
			heldBy(fmt.Sprint("p", r.IntN(20)))(&d)
		}
		s.Devices = append(s.Devices, d)
	}
	return s
}
