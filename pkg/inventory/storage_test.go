package inventory

import (
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestBoundClaims follows a volume claim from its creation to its deletion.
func TestBoundClaims(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 1), hostname))
	w.SetNode(aNode("h", has(gpu, 2), hostname))
	option := wants(gpu)
	option.VolumeClaims = []string{"data", "more"}
	for i, step := range []struct {
		do   func()
		want int64
	}{
		{func() {}, 3}, // no such claim
		{func() { w.SetVolumeClaim("default", "data", "") }, 3},
		{func() { w.SetVolumeClaim("default", "data", "pv") }, 3}, // the volume has not come
		{func() { w.SetVolume(aVolume("pv", localTo("h"))) }, 2},
		{func() { w.SetVolume(aVolume("pv", localTo("h"))) }, 2},
		{func() { w.SetVolume(aVolume("pv", localTo("g"))) }, 1}, // moved
		{func() { w.SetVolumeClaim("default", "more", "pv2") }, 1},
		{func() { w.SetVolume(aVolume("pv2", localTo("h"))) }, 0}, // cannot both be had
		{func() { w.DeleteVolume("pv2") }, 1},
		{func() { w.SetVolume(aVolume("pv")) }, 3}, // usable everywhere from now on
		{func() { w.SetVolume(aVolume("pv", localTo("g"))) }, 1},
		{func() { w.SetVolumeClaim("other", "data", "") }, 1},
		{func() { w.DeleteVolumeClaim("default", "data") }, 3},
	} {
		step.do()
		if got := w.look(option).Usable; got != step.want {
			t.Errorf("step %d: %d are usable, want %d", i, got, step.want)
		}
	}
}

// TestPendingWithVolumeClaims: a pending pod has its claim where its volume is, as
// soon as that is known, and so does its record.
func TestPendingWithVolumeClaims(t *testing.T) {
	for name, options := range map[string][]podOption{
		"claim":            {mounts("data")},
		"ephemeral volume": {scratch("data"), func(p *corev1.Pod) { p.Name = "p" }},
	} {
		t.Run(name, func(t *testing.T) {
			claim := VolumeClaimsOf(podOf(options...).Spec.Volumes, "p")[0]
			w := newWorld()
			w.SetNode(aNode("g", has(gpu, 1), hostname))
			w.SetNode(aNode("h", has(gpu, 1), hostname))
			onG := wants(gpu, selects("kubernetes.io/hostname", "g"))
			w.SetPod(aPod("p", append(options, asks(gpu, "1"))...))
			for i, step := range []struct {
				do   func()
				idle int64 // on g
				on   string
			}{
				{func() {}, 0, "gh"}, // it may come to g
				{func() { w.SetVolumeClaim("default", claim, "pv") }, 0, "gh"},
				{func() { w.SetVolume(aVolume("pv", localTo("g"))) }, 0, "g"},
				{func() { w.SetPod(aPod("p", append(options, asks(gpu, "1"))...)) }, 0, "g"},
				{func() { w.SetVolume(aVolume("pv", localTo("h"))) }, 1, "h"},
				{func() { w.SetVolume(aVolume("pv", localTo("g"))) }, 0, "g"},
				{func() { w.DeleteVolumeClaim("default", claim) }, 0, "gh"},
				{func() { w.SetVolumeClaim("default", claim, "pv") }, 0, "g"},
				{func() { w.DeletePod("default", "p") }, 1, ""},
			} {
				step.do()
				if got := w.look(onG).Idle(); got != step.idle {
					t.Errorf("step %d: %d are idle on g, want %d", i, got, step.idle)
				}
				on := ""
				if p := w.Pod("default", "p"); p != nil {
					for _, n := range w.Nodes() {
						if p.Constraints.Allow(n) {
							on += n.Name
						} else if kept := p.Constraints.VolumeConflict(n); kept != "pv" {
							t.Errorf("step %d: kept off %s by %q, want pv", i, n.Name, kept)
						}
					}
				}
				if on != step.on {
					t.Errorf("step %d: it may run on %q, want %q", i, on, step.on)
				}
			}
			if len(w.storage.unboundPods) != 0 {
				t.Error("a pod that is gone is remembered for its claims")
			}
		})
	}
}

// podOf is the pod that aPod reads.
func podOf(options ...podOption) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: make([]corev1.Container, 1)}}
	for _, o := range options {
		o(p)
	}
	return p
}

// TestBoundPodsKeepNoVolumeClaims: volumes do not matter to a pod that is bound.
func TestBoundPodsKeepNoVolumeClaims(t *testing.T) {
	w := newWorld()
	w.SetPod(aPod("p", asks(gpu, "1"), mounts("data")))
	w.SetPod(aPod("p", asks(gpu, "1"), mounts("data"), on("g")))
	w.SetPod(aPod("idle", mounts("data"))) // wants no accelerator
	if len(w.storage.unboundPods) != 0 {
		t.Errorf("%d pods are looked at whenever a volume changes, want none", len(w.storage.unboundPods))
	}
}

// TestAReservationKeepsItsVolume: the claim counts against the node where the
// volume is.
func TestAReservationKeepsItsVolume(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 1), hostname))
	w.SetNode(aNode("h", has(gpu, 1), hostname))
	w.SetVolumeClaim("default", "data", "pv")
	w.SetVolume(aVolume("pv", localTo("g")))
	o := wants(gpu)
	o.VolumeClaims = []string{"data"}
	if c := w.reserve("r", o); c.Idle() != 1 {
		t.Fatalf("%d are idle, want 1", c.Idle())
	}
	for node, idle := range map[string]int64{"g": 0, "h": 1} {
		if got := w.look(wants(gpu, selects("kubernetes.io/hostname", node))).Idle(); got != idle {
			t.Errorf("%d are idle on %s, want %d", got, node, idle)
		}
	}
}

// TestEqualVolumesShareOneClass: the names of volumes make no difference.
func TestEqualVolumesShareOneClass(t *testing.T) {
	w := newWorld()
	for i := range 4 {
		name := fmt.Sprint("pv", i)
		w.SetVolume(aVolume(name, localTo([]string{"g", "h"}[i%2])))
		w.SetVolumeClaim("default", name, name)
		o := wants(gpu)
		o.VolumeClaims = []string{name}
		w.look(o)
	}
	if len(w.classes) != 2 || len(w.eligible) != 2 {
		t.Errorf("%d classes and %d sets of eligible nodes, want 2 of each", len(w.classes), len(w.eligible))
	}
}

// TestVolumesAtOnce is for the race detector: volumes and pending pods come and
// go while decisions are made.
func TestVolumesAtOnce(t *testing.T) {
	w := newWorld()
	w.SetNode(aNode("g", has(gpu, 4), hostname))
	w.SetNode(aNode("h", has(gpu, 4), hostname))
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			name := fmt.Sprint("c", i)
			o := wants(gpu)
			o.VolumeClaims = []string{name}
			for j := range 100 {
				w.SetVolumeClaim("default", name, name)
				w.SetVolume(aVolume(name, localTo([]string{"g", "h"}[j%2])))
				w.SetPod(aPod(name, asks(gpu, "1"), mounts(name)))
				w.look(o)
				w.DeleteVolume(name)
				w.DeletePod("default", name)
				w.DeleteVolumeClaim("default", name)
			}
		})
	}
	group.Wait()
	if got := w.look(wants(gpu)); got.Usable != 8 || got.Claimed != 0 {
		t.Errorf("%d are usable and %d claimed, want 8 and 0", got.Usable, got.Claimed)
	}
}
