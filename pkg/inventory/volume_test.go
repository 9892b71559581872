package inventory

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

func TestVolumeClaimsOf(t *testing.T) {
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

// TestVolumeClaimsAreBounded: of a pod that mounts thousands, the first restrict it.
func TestVolumeClaimsAreBounded(t *testing.T) {
	var volumes []corev1.Volume
	for i := range 10_000 {
		volumes = append(volumes, corev1.Volume{VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: fmt.Sprint("claim-", i)},
		}})
	}
	if got := VolumeClaimsOf(volumes, "p"); len(got) != maxVolumeClaims || got[0] != "claim-0" {
		t.Errorf("%d are kept, the first %q", len(got), got[0])
	}
}
