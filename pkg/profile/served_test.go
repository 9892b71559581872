package profile_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

// TestAddServed follows what servers report of themselves through the life of a profile: too
// few readings, enough, of busy servers, an edit of where they report, a reset.
func TestAddServed(t *testing.T) {
	in := gpuAndCPU() // a hint of 76 ms for the GPU, none for the CPU
	in.Spec.ServerMetrics = &v1alpha1.ServerMetrics{Port: 8000, Histogram: "took", Unit: "ms"}
	r, c := startRegistry(t, in)
	add := func(kind accel.Kind, load profile.Load, n int, each time.Duration) {
		t.Helper()
		var e servicetime.Estimate
		for i := range n {
			e = e.Observe(servicetime.ServedRun(each), epoch.Add(time.Duration(i)*time.Second))
		}
		more := map[profile.ServedKey]profile.Runs{{Kind: kind, Load: load}: {
			Hash: variant(t, r.read(), kind).ServedHash, By: map[string]servicetime.Estimate{"a": e},
		}}
		if _, err := c.AddServed(t.Context(), in.Name, more); err != nil {
			t.Fatal(err)
		}
	}
	want := func(gpu, cpu time.Duration, served ...string) {
		t.Helper()
		now := r.read()
		for kind, time := range map[accel.Kind]time.Duration{"GPU": gpu, "CPU": cpu} {
			if v := variant(t, now, kind); v.ServerTime != time {
				t.Errorf("an inference on a server on the %s takes %s (%s), want %s", kind, v.ServerTime, v.ServerBasis, time)
			}
			if v := variant(t, now, kind); kind == "GPU" && v.Estimate != 76*1e6 {
				t.Errorf("a run takes %s now", v.Estimate)
			}
		}
		var got []string
		for _, s := range now.Status.Served {
			got = append(got, fmt.Sprintf("%s %s %s %d", s.Accelerator, s.Load, s.Time.Duration, s.Readings))
		}
		if diff := cmp.Diff(served, got); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
	}
	const ms = time.Millisecond
	want(76*ms, 152*ms)
	add("GPU", profile.Light, 2, 2400*time.Microsecond)
	want(76*ms, 152*ms, "GPU light 2.4ms 2")
	add("GPU", profile.Light, 1, 2400*time.Microsecond)
	want(2400*time.Microsecond, 4800*time.Microsecond, "GPU light 2.4ms 3")
	add("CPU", profile.Busy, 3, 10*ms)
	want(2400*time.Microsecond, 10*ms, "GPU light 2.4ms 3", "CPU busy 10ms 3")
	add("GPU", profile.Busy, 3, 3*ms) // from now on it counts
	want(3*ms, 10*ms, "GPU light 2.4ms 3", "GPU busy 3ms 3", "CPU busy 10ms 3")

	r.mu.Lock()
	r.current.Spec.ServerMetrics.Unit = "us"
	r.mu.Unlock()
	want(76*ms, 152*ms, "GPU light 2.4ms 3", "GPU busy 3ms 3", "CPU busy 10ms 3") // not read any more
	now, err := c.Get(t.Context(), in.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteStatus(t.Context(), now, profile.Observed{}); err != nil {
		t.Fatal(err)
	}
	want(76*ms, 152*ms)
	add("GPU", profile.Busy, 3, 3*ms)
	r.mu.Lock()
	r.current.Annotations = map[string]string{accel.ResetLearnedAnnotation: "now"}
	r.mu.Unlock()
	add("GPU", profile.Busy, 3, 5*ms) // was read before
	want(76*ms, 152*ms)
	add("GPU", profile.Light, 3, 5*ms)
	want(5*ms, 10*ms, "GPU light 5ms 3")
}
