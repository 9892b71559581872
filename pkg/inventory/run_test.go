package inventory

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var start = time.Unix(1_700_000_000, 0)

// ended makes a pod's only container one that ran for so long, from start on.
func ended(ph corev1.PodPhase, exit int32, ran time.Duration) podOption {
	return func(p *corev1.Pod) {
		p.Status.Phase = ph
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: p.Spec.Containers[0].Name,
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: exit, StartedAt: metav1.NewTime(start), FinishedAt: metav1.NewTime(start.Add(ran)),
			}},
		}}
	}
}

func restartedOnce(p *corev1.Pod) { p.Status.ContainerStatuses[0].RestartCount = 1 }

func TestEnded(t *testing.T) {
	tests := map[string]struct {
		pod       []podOption
		took      time.Duration
		known, ok bool
	}{
		"succeeded":             {[]podOption{ours("GPU", ""), ended(corev1.PodSucceeded, 0, 5*time.Second)}, 5 * time.Second, true, true},
		"within a second":       {[]podOption{ours("GPU", ""), ended(corev1.PodSucceeded, 0, 0)}, 0, true, true},
		"failed":                {[]podOption{ours("GPU", ""), ended(corev1.PodFailed, 1, 5*time.Second)}, 5 * time.Second, true, false},
		"another container did": {[]podOption{ours("GPU", ""), ended(corev1.PodFailed, 0, 5*time.Second)}, 5 * time.Second, true, false},
		"a clock turned back":   {[]podOption{ours("GPU", ""), ended(corev1.PodSucceeded, 0, -time.Second)}, 0, false, true},
		"never started":         {[]podOption{ours("GPU", ""), phase(corev1.PodFailed)}, 0, false, false},
		"not ours":              {[]podOption{asks(gpu, "1"), ended(corev1.PodSucceeded, 0, 5*time.Second)}, 0, false, false},
		"others of its pod run": {[]podOption{ours("GPU", ""), ended(corev1.PodRunning, 0, 5*time.Second)}, 0, false, false},
		"beside another": {[]podOption{ours("GPU", ""), ended(corev1.PodSucceeded, 0, 5*time.Second), func(p *corev1.Pod) {
			p.Spec.Containers = append([]corev1.Container{{Name: "log"}}, p.Spec.Containers...)
			log := p.Status.ContainerStatuses[0].DeepCopy()
			log.Name, log.State.Terminated.FinishedAt = "log", metav1.NewTime(start.Add(time.Hour))
			p.Status.ContainerStatuses = append([]corev1.ContainerStatus{*log}, p.Status.ContainerStatuses...)
		}}, 5 * time.Second, true, true},
		"an init container": {[]podOption{ours("GPU", ""), ended(corev1.PodSucceeded, 0, 5*time.Second), func(p *corev1.Pod) {
			p.Spec.InitContainers, p.Spec.Containers = p.Spec.Containers, []corev1.Container{{Name: "after"}}
			p.Status.InitContainerStatuses, p.Status.ContainerStatuses = p.Status.ContainerStatuses, nil
		}}, 5 * time.Second, true, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := aPod("p", tt.pod...).Run
			if took, known := r.Duration(); took != tt.took || known != tt.known || r.Succeeded != tt.ok {
				t.Errorf("took %s (%v), succeeded %v, want %s (%v), %v", took, known, r.Succeeded, tt.took, tt.known, tt.ok)
			}
		})
	}
}

// TestWatched: the API's times are whole seconds; the inventory's clock decides
// within them.
func TestWatched(t *testing.T) {
	tests := map[string]struct {
		saw  time.Duration // between the pod's start and its end, by our clock
		api  time.Duration // by the API
		more []podOption
		want time.Duration
	}{
		"finer than the API":     {2300 * time.Millisecond, 3 * time.Second, nil, 2300 * time.Millisecond},
		"shorter than a second":  {80 * time.Millisecond, 0, nil, 80 * time.Millisecond},
		"seen to end too late":   {time.Minute, 2 * time.Second, nil, 3 * time.Second},
		"seen to start too late": {0, 5 * time.Second, nil, 5 * time.Second},
		"nearly":                 {time.Millisecond, 5 * time.Second, nil, 4 * time.Second},
		"its last attempt alone": {9 * time.Second, 5 * time.Second, []podOption{restartedOnce}, 5 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var finished []*Pod
			w := newWorld()
			set := func(p *Pod) {
				if c := w.SetPod(p); c.Finished {
					finished = append(finished, c.Record)
				}
			}
			set(aPod("p", ours("GPU", "")))
			set(aPod("p", ours("GPU", ""), on("g"), since(start)))
			w.now = w.now.Add(tt.saw / 2)
			set(aPod("p", ours("GPU", ""), on("g"), since(start))) // something else changed
			w.now = w.now.Add(tt.saw - tt.saw/2)
			set(aPod("p", append([]podOption{ours("GPU", ""), on("g"), ended(corev1.PodSucceeded, 0, tt.api)}, tt.more...)...))
			if len(finished) != 1 {
				t.Fatalf("%d pods finished", len(finished))
			}
			if got, ok := finished[0].Run.Duration(); got != tt.want || !ok {
				t.Errorf("took %s, want %s", got, tt.want)
			}
			if w.Pod("default", "p") != finished[0] {
				t.Error("another record is kept than was returned")
			}
		})
	}
}

// TestStartedOnce: once for each pod that started while it was known, also where its end is
// all that was seen of its run.
func TestStartedOnce(t *testing.T) {
	var got []types.UID
	w := newWorld()
	uid := func(id types.UID) podOption { return func(p *corev1.Pod) { p.UID = id } }
	done := ended(corev1.PodSucceeded, 0, time.Second)
	for _, p := range []*Pod{
		aPod("listed", ours("GPU", ""), since(start), uid("ran before we started")),
		aPod("listed", ours("GPU", ""), since(start), uid("ran before we started")),
		aPod("a", ours("GPU", ""), uid("1")),
		aPod("a", ours("GPU", ""), on("g"), uid("1")),
		aPod("a", ours("GPU", ""), on("g"), since(start), uid("1")),
		aPod("a", ours("GPU", ""), on("g"), since(start), uid("1")), // something else changed
		aPod("a", ours("GPU", ""), on("g"), done, uid("1")),
		aPod("b", ours("GPU", ""), uid("2")),
		aPod("b", ours("GPU", ""), on("g"), done, uid("2")),
		aPod("b", ours("GPU", ""), on("g"), done, uid("2")),
		aPod("b", ours("GPU", ""), since(start), uid("of the same name, never seen to wait")),
	} {
		if c := w.SetPod(p); c.Started {
			got = append(got, c.Record.UID)
		}
	}
	if diff := cmp.Diff([]types.UID{"1", "2"}, got); diff != "" {
		t.Errorf("started (-want +got):\n%s", diff)
	}
}

// TestFinishedOnce: once for each pod that ended while it was known, whatever
// else the API server sends.
func TestFinishedOnce(t *testing.T) {
	var got []types.UID
	w := newWorld()
	set := func(p *Pod) {
		if c := w.SetPod(p); c.Finished {
			got = append(got, c.Record.UID)
		}
	}
	uid := func(id types.UID) podOption { return func(p *corev1.Pod) { p.UID = id } }
	done := ended(corev1.PodSucceeded, 0, time.Second)
	for _, p := range []*Pod{
		aPod("listed", ours("GPU", ""), done, uid("ended before we started")),
		aPod("listed", ours("GPU", ""), done, uid("ended before we started")),
		aPod("a", ours("GPU", ""), uid("1")),
		aPod("a", ours("GPU", ""), since(start), uid("1")),
		aPod("a", ours("GPU", ""), done, uid("1")),
		aPod("a", ours("GPU", ""), done, uid("1")), // listed again
		aPod("a", ours("GPU", ""), done, deleted, uid("1")),
		aPod("a", ours("GPU", ""), done, uid("of the same name, never seen to run")),
		aPod("b", ours("NPU", ""), uid("2")),
		aPod("b", ours("NPU", ""), ended(corev1.PodFailed, 1, time.Second), uid("2")), // failed: the caller decides
		aPod("c", asks(gpu, "1"), uid("3")),
		aPod("c", asks(gpu, "1"), done, uid("3")),
	} {
		set(p)
	}
	set(aPod("d", ours("GPU", ""), uid("4")))
	w.DeletePod("default", "d")
	set(aPod("d", ours("GPU", ""), done, uid("4")))
	if diff := cmp.Diff([]types.UID{"1", "2", "3"}, got); diff != "" {
		t.Errorf("finished (-want +got):\n%s", diff)
	}
}

// TestFinishedOnceOfMany: pods that change at once each finish once.
func TestFinishedOnceOfMany(t *testing.T) {
	inv := New(Options{})
	var finished atomic.Int64
	const pods = 50
	var wg sync.WaitGroup
	for i := range pods {
		wg.Go(func() {
			name := string(rune('a'+i%26)) + string(rune('a'+i/26))
			for _, p := range []*Pod{
				aPod(name, ours("GPU", ""), since(start)),
				aPod(name, ours("GPU", ""), ended(corev1.PodSucceeded, 0, time.Second)),
			} {
				if c := inv.SetPod(p); c.Finished {
					inv.Pod(c.Record.Namespace, c.Record.Name)
					finished.Add(1)
				}
			}
			inv.Managed()
		})
	}
	wg.Wait()
	if got := finished.Load(); got != pods {
		t.Errorf("%d finished, want %d", got, pods)
	}
}

// TestAltered: a pod that ran another image for a while is not one that ran its
// own, whatever it has when it ends.
func TestAltered(t *testing.T) {
	image := func(image, device string) podOption {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].Image = image
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "HETEROACCEL_DEVICE", Value: device}}
		}
	}
	own := image("variant", "GPU")
	for name, tt := range map[string]struct {
		seen []podOption
		want bool
	}{
		"never":            {[]podOption{own, own, own}, false},
		"when it ended":    {[]podOption{own, own, image("busybox", "GPU")}, true},
		"while it ran":     {[]podOption{own, image("busybox", "GPU"), own}, true},
		"before it ran":    {[]podOption{image("busybox", "GPU"), own, own}, true},
		"another device":   {[]podOption{own, image("variant", "CPU"), own}, true},
		"seen at the end":  {[]podOption{own}, false},
		"of another's pod": {[]podOption{own, func(p *corev1.Pod) { image("busybox", "GPU")(p); p.UID = "another" }}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inv := New(Options{})
			var last PodChange
			for i, seen := range tt.seen {
				options := []podOption{ours("GPU", "r"), on("g"), since(start), seen}
				if i == len(tt.seen)-1 {
					options = append(options, ended(corev1.PodSucceeded, 0, time.Second))
				}
				last = inv.SetPod(aPod("p", options...))
			}
			if got := last.Record.Run.Altered; got != tt.want {
				t.Errorf("altered: %v, want %v", got, tt.want)
			}
		})
	}
	long := aPod("p", ours("GPU", "r"), image(strings.Repeat("x", 1<<20), strings.Repeat("y", 1<<20)))
	if n := len(long.Run.Image) + len(long.Run.Device); n > 2*maxText {
		t.Errorf("%d bytes are kept", n)
	}
}
