package inventory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type volumeOption func(*corev1.PersistentVolume)

func aVolume(name string, options ...volumeOption) *Volume {
	v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, o := range options {
		o(v)
	}
	return VolumeOf(v)
}

// usableOn is a volume's node affinity.
func usableOn(terms ...corev1.NodeSelectorTerm) volumeOption {
	return func(v *corev1.PersistentVolume) {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: terms}}
	}
}

// localTo is a volume on a node's own disk.
func localTo(node string) volumeOption {
	return usableOn(expression("kubernetes.io/hostname", corev1.NodeSelectorOpIn, node))
}

func inZone(label, value string) volumeOption {
	return func(v *corev1.PersistentVolume) { metav1.SetMetaDataLabel(&v.ObjectMeta, label, value) }
}

func mounts(claims ...string) podOption {
	return func(p *corev1.Pod) {
		for i, claim := range claims {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: fmt.Sprint("v", i), VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
			}})
		}
	}
}

// scratch is a generic ephemeral volume.
func scratch(name string) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			Ephemeral: &corev1.EphemeralVolumeSource{},
		}})
	}
}

func hostname(n *corev1.Node) { labelled("kubernetes.io/hostname", n.Name)(n) }

const zone2 = "topology.kubernetes.io/zone"

// TestVolumes asks what a pod with a claim could run on among two nodes: g with
// one GPU, and h with two. Its claim is bound to the volume.
func TestVolumes(t *testing.T) {
	const beta = "failure-domain.beta.kubernetes.io/zone"
	tests := map[string]struct {
		g, h   []nodeOption
		volume []volumeOption
		pod    []podOption
		want   int64
	}{
		"anywhere":                    {want: 3},
		"local":                       {volume: []volumeOption{localTo("h")}, want: 2},
		"local to a node that went":   {volume: []volumeOption{localTo("x")}, want: 0},
		"of either node":              {volume: []volumeOption{usableOn(expression("kubernetes.io/hostname", corev1.NodeSelectorOpIn, "g"), expression("kubernetes.io/hostname", corev1.NodeSelectorOpIn, "h"))}, want: 3},
		"and a selector that agrees":  {volume: []volumeOption{localTo("h")}, pod: []podOption{selects("kubernetes.io/hostname", "h")}, want: 2},
		"and a selector against it":   {volume: []volumeOption{localTo("h")}, pod: []podOption{selects("kubernetes.io/hostname", "g")}, want: 0},
		"and a taint":                 {h: []nodeOption{tainted("x", corev1.TaintEffectNoSchedule)}, volume: []volumeOption{localTo("h")}, want: 0},
		"and a taint, tolerated":      {h: []nodeOption{tainted("x", corev1.TaintEffectNoSchedule)}, volume: []volumeOption{localTo("h")}, pod: []podOption{tolerates("x")}, want: 2},
		"by a label that none has":    {volume: []volumeOption{usableOn(expression("topology.example.com/rack", corev1.NodeSelectorOpIn, "1"))}, want: 0},
		"by no term":                  {volume: []volumeOption{usableOn()}, want: 0},
		"by garbage":                  {volume: []volumeOption{usableOn(expression("a", "Garbage", "1"))}, want: 0},
		"by a field, which is unread": {volume: []volumeOption{usableOn(nodeNamed(corev1.NodeSelectorOpIn, "g"))}, want: 3},
		"zone":                        {g: []nodeOption{labelled(zone2, "1")}, h: []nodeOption{labelled(zone2, "2")}, volume: []volumeOption{inZone(zone2, "2")}, want: 2},
		"zones":                       {g: []nodeOption{labelled(zone2, "1")}, h: []nodeOption{labelled(zone2, "2")}, volume: []volumeOption{inZone(zone2, "1__2")}, want: 3},
		"zone of nodes without":       {volume: []volumeOption{inZone(zone2, "2")}, want: 3},
		"zone where one is without":   {g: []nodeOption{labelled(zone2, "2")}, volume: []volumeOption{inZone(zone2, "1")}, want: 2},
		"zone by its old name":        {g: []nodeOption{labelled(zone2, "1")}, h: []nodeOption{labelled(zone2, "2")}, volume: []volumeOption{inZone(beta, "2")}, want: 2},
		"zone that is garbage":        {g: []nodeOption{labelled(zone2, "1")}, h: []nodeOption{labelled(zone2, "2")}, volume: []volumeOption{inZone(zone2, "2__")}, want: 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			option := wants(gpu, tt.pod...)
			option.VolumeClaims = []string{"data"}
			steps := []func(*world){
				func(w *world) { w.SetNode(aNode("g", append(tt.g, has(gpu, 1), hostname)...)) },
				func(w *world) { w.SetNode(aNode("h", append(tt.h, has(gpu, 2), hostname)...)) },
				func(w *world) { w.SetVolume(aVolume("pv", tt.volume...)) },
				func(w *world) { w.SetVolumeClaim("default", "data", "pv") },
				func(w *world) { w.SetVolumeClaim("other", "data", "another") },
			}
			// Whatever comes first, and asked or not in between, the answer is
			// the same.
			for range 6 {
				asked, late := newWorld(), newWorld()
				for _, step := range steps {
					step(asked)
					step(late)
					asked.look(option)
				}
				for _, w := range []*world{asked, late} {
					if got := w.look(option).Usable; got != tt.want {
						t.Errorf("usable: got %d, want %d", got, tt.want)
					}
				}
				rand.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
			}
		})
	}
}

// TestBoundClaims: what a claim comes to from when it is made to when it is gone.
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

// TestWaitingWithClaims: a pod in the queue counts where its volume is, as soon
// as that is known, and its record says so.
func TestWaitingWithClaims(t *testing.T) {
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

// podOf is what aPod makes a record of.
func podOf(options ...podOption) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: make([]corev1.Container, 1)}}
	for _, o := range options {
		o(p)
	}
	return p
}

// TestBoundPodsNameNoClaims: where a pod is bound, nothing is left to ask.
func TestBoundPodsNameNoClaims(t *testing.T) {
	w := newWorld()
	w.SetPod(aPod("p", asks(gpu, "1"), mounts("data")))
	w.SetPod(aPod("p", asks(gpu, "1"), mounts("data"), on("g")))
	w.SetPod(aPod("idle", mounts("data"))) // after no accelerator
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

// TestVolumesAlikeShareOneShape: what volumes are called makes no shape.
func TestVolumesAlikeShareOneShape(t *testing.T) {
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
		t.Errorf("%d shapes and %d reaches, want 2 of each", len(w.classes), len(w.eligible))
	}
}

// TestVolumesAtOnce is for the race detector: volumes come and go while pods
// wait and decisions are made.
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

func TestClaimsOf(t *testing.T) {
	p := podOf(mounts("a", "b"), scratch("tmp"), func(p *corev1.Pod) {
		p.Spec.Volumes = slices.Insert(p.Spec.Volumes, 0, corev1.Volume{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}})
	})
	if diff := cmp.Diff([]string{"a", "b"}, VolumeClaimsOf(p.Spec.Volumes, "")); diff != "" {
		t.Errorf("without a name (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b", "p-tmp"}, VolumeClaimsOf(p.Spec.Volumes, "p")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
