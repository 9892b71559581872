package main

import (
	"bytes"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
)

// boundRun is a run whose pod was bound at so many seconds.
func boundRun(kind accel.Kind, asked, bound, ended float64, change ...func(*run)) run {
	r := aRun(kind, asked, bound, ended)
	r.bound = at(bound)
	for _, c := range change {
		c(&r)
	}
	return r
}

func waits(r *run) { r.waited = true }

// TestFreed: of one device, whoever waited as it was let go.
func TestFreed(t *testing.T) {
	stayed, moved := freed([]run{
		boundRun("GPU", 0, 0.1, 5),
		boundRun("GPU", 1, 5.25, 8, waits),
		boundRun("GPU", 2, 8.5, 9, waits, func(r *run) { r.moved = true }),
		boundRun("GPU", 3, 10, 12, func(r *run) { r.made = 1 }),
		boundRun("GPU", 12.5, 13, 14),       // came when it was free
		boundRun("GPU", 13.5, 14.5, 0),      // found it free, as far as kube-scheduler said
		boundRun("GPU", 13.5, 20, 0, waits), // the one before has no end
		boundRun("NPU", 4, 4.5, 6, waits),   // nobody had it before
		{request: &request{}, submitted: at(1), kind: "GPU"},
	})
	about := cmpopts.EquateApprox(0, 1e-9)
	if diff := cmp.Diff([]float64{.25}, stayed, about); diff != "" {
		t.Errorf("who waited for it (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]float64{.5, 1}, moved, about); diff != "" {
		t.Errorf("who was moved (-want +got):\n%s", diff)
	}
}

// TestSeeMoves: the same pod with another kind was moved, another pod recreated.
func TestSeeMoves(t *testing.T) {
	pod := func(uid types.UID, kind, node string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "p", UID: uid, Annotations: map[string]string{accel.SelectedAnnotation: kind}},
			Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{}}},
		}
	}
	for name, tt := range map[string]struct {
		seen  []*corev1.Pod
		moved bool
		made  int
	}{
		"stays":     {[]*corev1.Pod{pod("1", "GPU", ""), pod("1", "GPU", "g")}, false, 0},
		"moved":     {[]*corev1.Pod{pod("1", "GPU", ""), pod("1", "NPU", ""), pod("1", "NPU", "n")}, true, 0},
		"recreated": {[]*corev1.Pod{pod("1", "GPU", ""), pod("2", "NPU", ""), pod("2", "NPU", "n")}, false, 1},
	} {
		b := &book{runs: map[string]*entry{}}
		b.expect(&request{name: "p"}, at(0))
		for i, p := range tt.seen {
			b.see(p, at(float64(i)))
		}
		runs, err := b.all()
		if err != nil {
			t.Fatal(err)
		}
		if r := runs[0]; r.moved != tt.moved || r.made != tt.made || !r.bound.Equal(at(float64(len(tt.seen)-1))) {
			t.Errorf("%s: moved %v, recreated %d times, bound at %v", name, r.moved, r.made, r.bound)
		}
	}
}

func TestRanOnLate(t *testing.T) {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{accel.SelectedAnnotation: "NPU"}},
		Spec:       corev1.PodSpec{ResourceClaims: []corev1.PodResourceClaim{{}}, Containers: []corev1.Container{{Image: "heteroaccel/faces:npu"}}},
	}
	if kind, err := ranOn(p); kind != "NPU" || err != nil {
		t.Errorf("it ran on %s, %v", kind, err)
	}
	p.Spec.Containers[0].Image = "heteroaccel/faces:gpu"
	if kind, err := ranOn(p); kind != "GPU" || err == nil {
		t.Errorf("with the image of another kind than it says it ran on %s, and nothing is wrong", kind)
	}
}

func TestBindingTable(t *testing.T) {
	before := claimEnds{map[string]float64{"mispredicted": 1, "first": 5}, map[string]float64{"mispredicted": 2, "first": 9}}
	after := claimEnds{map[string]float64{"mispredicted": 3, "first": 25}, map[string]float64{"mispredicted": 5, "first": 29}}
	early := result{interval: 10 * time.Second, total: 40, pods: 50, moved: 4, latencies: map[string][]float64{"": {1, 2}}, freedStayed: []float64{.02}, freedMoved: []float64{.1, .2, .3}}
	var out bytes.Buffer
	if err := bindingTable(&out, []named{
		{name: "B: early", result: early},
		{name: "late", result: result{interval: 10 * time.Second, total: 41, pods: 50}, part: .8, claims: after.since(before)},
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`B: early +- +4\.000 +1\.50s +50 +4 +20ms of 1 +200ms of 3( +-){5}\n`,
		`late +80 % +4\.100 +- +50 +0 +- +- +20 +0 +2 +1\.5s +40\.0\n`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("nothing like %s in:\n%s", want, out.String())
		}
	}
}
