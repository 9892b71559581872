package server

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/quota"
)

func selected(p *corev1.Pod) string { return p.Annotations[accel.SelectedAnnotation] }

// TestOneAfterAnother is the paper's main case: each decision knows those
// before it, though no pod has been seen yet.
func TestOneAfterAnother(t *testing.T) {
	r := newRig(t).paper()
	var got []string
	for i := range 5 {
		p, _ := r.admit(t, pod(fmt.Sprintf("p%d", i), "face-recognition", "any"))
		got = append(got, selected(p))
	}
	if diff := cmp.Diff([]string{"GPU", "NPU", "FPGA", "CPU", "CPU"}, got); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

func TestMutation(t *testing.T) {
	r := newRig(t).paper()
	p, _ := r.admit(t, pod("p", "face-recognition", "npu"))
	c := p.Spec.Containers[0]
	one := resource.MustParse("1")
	want := corev1.ResourceList{npu: one}
	for name, got := range map[string]corev1.ResourceList{"limits": c.Resources.Limits, "requests": c.Resources.Requests} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if c.Image != "heteroaccel/face-recognition:npu" || c.Command[2] != "./app -d MYRIAD && sleep 9" {
		t.Errorf("image %q, command %q", c.Image, c.Command)
	}
	for _, key := range []string{accel.SelectedAnnotation, accel.ReasonAnnotation, accel.ReservationAnnotation, accel.OriginalAnnotation} {
		if p.Annotations[key] == "" {
			t.Errorf("annotation %s is missing", key)
		}
	}
}

// TestSecondCall is reinvocationPolicy IfNeeded: the pod comes again with our
// patch applied, and nothing is left to change, nor reserved twice.
func TestSecondCall(t *testing.T) {
	r := newRig(t).paper()
	first, _ := r.admit(t, pod("p", "face-recognition", "any"))
	second, resp := r.admit(t, first)
	if len(resp.Patch) > 0 {
		t.Errorf("the second call patched: %s", resp.Patch)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("second call (-first +second):\n%s", diff)
	}
	if n := r.inv.Reservations(); n != 1 {
		t.Errorf("%d reservations after two calls for one pod, want 1", n)
	}
	// With a sidecar put first by somebody else in between, the same
	// container stays the one.
	withSidecar := first.DeepCopy()
	withSidecar.Spec.Containers = slices.Insert(withSidecar.Spec.Containers, 0, corev1.Container{Name: "sidecar", Image: "sidecar"})
	third, _ := r.admit(t, withSidecar)
	if diff := cmp.Diff(withSidecar, third); diff != "" {
		t.Errorf("call with a sidecar (-before +after):\n%s", diff)
	}
}

// TestCopiedPod creates a copy of an admitted pod, annotations and all: it is
// a new request.
func TestCopiedPod(t *testing.T) {
	r := newRig(t).paper()
	first, _ := r.admit(t, pod("p", "face-recognition", "any"))
	r.arrives(first, "g")
	again := first.DeepCopy()
	again.Name = "copy"
	second, _ := r.admit(t, again)
	if selected(first) != "GPU" || selected(second) != "NPU" {
		t.Errorf("the pod got %s and its copy %s, want GPU and NPU", selected(first), selected(second))
	}
	if first.Annotations[accel.ReservationAnnotation] == second.Annotations[accel.ReservationAnnotation] {
		t.Error("the copy took over the reservation of the first")
	}
	if got := second.Spec.Containers[0].Command[2]; got != "./app -d MYRIAD && sleep 9" {
		t.Errorf("the copy runs %q", got)
	}
}

// TestChangedInBetween is a second call after somebody took the first call's
// kind away from the pod: it gets another, and one reservation.
func TestChangedInBetween(t *testing.T) {
	r := newRig(t).paper()
	first, _ := r.admit(t, pod("p", "face-recognition", "any"))
	first.Annotations[accel.AcceleratorAnnotation] = "npu"
	second, _ := r.admit(t, first)
	if selected(second) != "NPU" {
		t.Errorf("got %s, want NPU: %s", selected(second), second.Annotations[accel.ReasonAnnotation])
	}
	if n := r.inv.Reservations(); n != 1 {
		t.Errorf("%d reservations, want 1", n)
	}
	if p, _ := r.admit(t, pod("q", "face-recognition", "gpu")); strings.Contains(p.Annotations[accel.ReasonAnnotation], "waits") {
		t.Errorf("the GPU was not given back: %s", p.Annotations[accel.ReasonAnnotation])
	}
}

// TestRefusedAfterDeciding refuses a pod whose record would be too large; what
// was reserved for it meanwhile is given back at once.
func TestRefusedAfterDeciding(t *testing.T) {
	r := newRig(t).paper()
	_, resp := r.admit(t, pod("p", "face-recognition", "any", func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: accel.DeviceEnv, Value: strings.Repeat("x", 200<<10)}}
	}))
	if resp.Allowed {
		t.Fatal("it was allowed")
	}
	if n := r.inv.Reservations(); n != 0 {
		t.Errorf("%d reservations are left", n)
	}
}

func TestBrokenProfile(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Profiles.SetInvalid("face-recognition", errors.New("its nodeSelector has no label"))
	}).paper()
	_, resp := r.admit(t, pod("p", "face-recognition", "any"))
	want := `InferenceProfile "face-recognition" cannot be used: its nodeSelector has no label; mend it first`
	if resp.Allowed || resp.Result.Message != want {
		t.Errorf("%+v, want a refusal: %s", resp.Result, want)
	}
}

func TestEventFits(t *testing.T) {
	m := &inventory.Managed{Inference: "x", Kind: "GPU", Reason: strings.Repeat("é", 1000)}
	if n := note(m); len(n) > 1024 || !utf8.ValidString(n) || !strings.HasSuffix(n, "é…") {
		t.Errorf("%d bytes, ending in %q", len(n), n[len(n)-10:])
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := newRig(t, func(c *Config) { c.Registry = registry }).paper()
	r.admit(t, pod("p", "face-recognition", "any"))
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestDryRunReservesNothing(t *testing.T) {
	r := newRig(t).paper()
	dry := true
	for range 3 {
		p, _ := r.admit(t, pod("p", "face-recognition", "any"), func(q *admissionv1.AdmissionRequest) { q.DryRun = &dry })
		if selected(p) != "GPU" {
			t.Errorf("a dry run got %s, want GPU", selected(p))
		}
	}
	if n := r.inv.Reservations(); n != 0 {
		t.Errorf("%d reservations after dry runs", n)
	}
}

// allows sets how many GPUs the quota of the namespace default allows, and has
// counted.
func (r *rig) allows(hard, used string) {
	const requests = "requests." + gpu
	r.inv.SetQuota(quota.Of(&corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gpus"},
		Status: corev1.ResourceQuotaStatus{
			Hard: corev1.ResourceList{requests: resource.MustParse(hard)},
			Used: corev1.ResourceList{requests: resource.MustParse(used)},
		},
	}))
}

// TestOverQuota: a kind that the namespace's quota has no room for is left to
// others; when there is no other kind the API server has the last word, and
// nothing is reserved.
func TestOverQuota(t *testing.T) {
	r := newRig(t)
	r.node("g", gpu, 4)
	r.node("n", npu, 1)
	r.allows("1", "0")
	first, resp := r.admit(t, pod("first", "face-recognition", "gpu,npu"))
	if selected(first) != "GPU" || len(resp.Warnings) > 0 {
		t.Errorf("the first got %s, warned %q", selected(first), resp.Warnings)
	}
	again, _ := r.admit(t, first) // which counts once
	if selected(again) != "GPU" {
		t.Errorf("a second call made it %s", selected(again))
	}
	second, _ := r.admit(t, pod("second", "face-recognition", "gpu,npu"))
	if selected(second) != "NPU" {
		t.Errorf("the second got %s, want NPU", selected(second))
	}
	want := "NPU is free (1 of 1), a run takes 146ms; no GPU (quota gpus has 0 of 1 requests.gpu.intel.com/i915 left)"
	if why := second.Annotations[accel.ReasonAnnotation]; why != want {
		t.Errorf("the reason is\n%s\nwant\n%s", why, want)
	}
	before := r.inv.Reservations()
	third, resp := r.admit(t, pod("third", "face-recognition", "gpu"))
	want = "the quotas of its namespace allow no kind: no GPU (quota gpus has 0 of 1 requests.gpu.intel.com/i915 left)"
	if selected(third) != "GPU" || !cmp.Equal(resp.Warnings, []string{want}) {
		t.Errorf("the third got %s, warned %q, want %q", selected(third), resp.Warnings, want)
	}
	if n := r.inv.Reservations(); n != before {
		t.Errorf("%d reservations, want %d as before", n, before)
	}
	r.allows("2", "1")
	if p, _ := r.admit(t, pod("third", "face-recognition", "gpu")); strings.Contains(p.Annotations[accel.ReasonAnnotation], "quota") {
		t.Errorf("with the quota raised: %s", p.Annotations[accel.ReasonAnnotation])
	}
}

// TestQuotaOfLimits: a quota that demands a CPU limit leaves only the kind whose
// variant sets one.
func TestQuotaOfLimits(t *testing.T) {
	r := newRig(t).paper()
	r.inv.SetQuota(quota.Of(&corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "compute"},
		Status:     corev1.ResourceQuotaStatus{Hard: corev1.ResourceList{"limits.cpu": resource.MustParse("2")}},
	}))
	p, _ := r.admit(t, pod("p", "face-recognition", "any"))
	if why := p.Annotations[accel.ReasonAnnotation]; selected(p) != "CPU" || !strings.Contains(why, "no GPU (quota compute demands that every container sets limits.cpu)") {
		t.Errorf("got %s: %s", selected(p), why)
	}
	next, _ := r.admit(t, pod("q", "face-recognition", "any"))
	if why := next.Annotations[accel.ReasonAnnotation]; !strings.Contains(why, "no CPU (quota compute has 0 of 2 limits.cpu left)") {
		t.Errorf("the next got %s: %s", selected(next), why)
	}
}

// TestWarnings: what the pod's words leave open is told on the wire, each time
// the pod comes, and stands in its reason once.
func TestWarnings(t *testing.T) {
	r := newRig(t).paper()
	p, resp := r.admit(t, pod("p", "face-recognition", "npu", func(p *corev1.Pod) {
		p.Spec.Containers[0].Command[2] = "./app -d ${DEV:-GPU}\x01\n"
	}))
	want := []string{`container "inference": "-d ${DEV:-GPU}?" stays as it is and may name another device than MYRIAD: write "-d any", or use $(HETEROACCEL_DEVICE)`}
	if diff := cmp.Diff(want, resp.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	reason := `NPU is free (1 of 1), a run takes 146ms; but "-d ${DEV:-GPU}?" may be another device`
	if got := p.Annotations[accel.ReasonAnnotation]; got != reason {
		t.Errorf("the reason is\n%s\nwant\n%s", got, reason)
	}
	again, resp := r.admit(t, p)
	if diff := cmp.Diff(want, resp.Warnings); diff != "" || len(resp.Patch) > 0 {
		t.Errorf("the second time: patch %s, warnings (-want +got):\n%s", resp.Patch, diff)
	}
	// Somebody's webhook makes the doubt greater in between.
	again.Spec.Containers[0].Env = append(again.Spec.Containers[0].Env, corev1.EnvVar{Name: "TARGET_DEVICE", Value: "CPU"})
	third, resp := r.admit(t, again)
	if got := third.Annotations[accel.ReasonAnnotation]; got != reason+", and variable TARGET_DEVICE names another device" || len(resp.Warnings) != 2 {
		t.Errorf("the third time the reason is %s, warnings %q", got, resp.Warnings)
	}
	if p, resp := r.admit(t, pod("q", "face-recognition", "gpu")); len(resp.Warnings) > 0 || strings.Contains(p.Annotations[accel.ReasonAnnotation], "but") {
		t.Errorf("a pod in whose words all is clear: %q, %s", resp.Warnings, p.Annotations[accel.ReasonAnnotation])
	}
}

func TestReservationIsGivenBack(t *testing.T) {
	r := newRig(t).paper()
	r.admit(t, pod("refused-by-quota", "face-recognition", "any"))
	if p, _ := r.admit(t, pod("next", "face-recognition", "any")); selected(p) != "NPU" {
		t.Errorf("while the GPU is reserved the next pod got %s, want NPU", selected(p))
	}
	*r.now = r.now.Add(31 * time.Second)
	if p, _ := r.admit(t, pod("later", "face-recognition", "any")); selected(p) != "GPU" {
		t.Errorf("after the reservation's 30 s the next pod got %s, want GPU", selected(p))
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"unknown inference": {
			pod("p", "face-recogniton", "any"),
			`there is no InferenceProfile "face-recogniton": did you mean face-recognition? There are face-recognition, text-recognition`,
		},
		"kind without variant": {
			pod("p", "face-recognition", "gpu,tpu"),
			"annotation heteroaccel.io/accelerator names TPU, which inference face-recognition has no variant for: it has CPU, GPU, FPGA, NPU",
		},
		"malformed kinds": {pod("p", "face-recognition", "gpu,,npu"), `"gpu,,npu" is neither "any" nor kinds in order of preference`},
		"empty inference": {pod("p", " ", "any"), "annotation heteroaccel.io/inference is missing or empty"},
		"unknown container": {
			pod("p", "face-recognition", "any", func(p *corev1.Pod) { p.Annotations[accel.ContainerAnnotation] = "web" }),
			`the pod has no container "web"`,
		},
		"node name": {pod("p", "face-recognition", "any", func(p *corev1.Pod) { p.Spec.NodeName = "g" }), "spec.nodeName is already set"},
		"a claim": {
			pod("p", "face-recognition", "any", func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "gpu"}}
			}),
			`container "inference" uses the resource claim "gpu", which chooses a device by itself`,
		},
		"several containers": {
			pod("p", "face-recognition", "any", func(p *corev1.Pod) {
				p.Spec.Containers[0].Name, p.Spec.Containers[0].Command = "main", []string{"./app"}
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "log"})
			}),
			"the pod has several containers (main, log)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).paper()
			_, resp := r.admit(t, c.pod)
			if resp.Allowed || resp.Result == nil || !strings.Contains(resp.Result.Message, c.want) {
				t.Fatalf("allowed %t, status %+v, want a refusal with %q", resp.Allowed, resp.Result, c.want)
			}
			if resp.Result.Code != http.StatusBadRequest {
				t.Errorf("code %d, want 400", resp.Result.Code)
			}
			if n := r.inv.Reservations(); n != 0 {
				t.Errorf("a refusal reserved %d", n)
			}
		})
	}
}

// TestOtherSchedulers: a scheduler that does not ask our extender gets no pods
// of ours, unless it is said that it may, and then they wait for themselves.
func TestOtherSchedulers(t *testing.T) {
	scheduled := func(name, by string) *corev1.Pod {
		return pod(name, "face-recognition", "gpu", func(p *corev1.Pod) { p.Spec.SchedulerName = by })
	}
	only := func(c *Config) { c.Schedulers = []string{"default-scheduler", "edge"} }
	r := newRig(t, only).paper()
	for _, by := range []string{"default-scheduler", "edge", ""} {
		if _, resp := r.admit(t, scheduled("p", by)); !resp.Allowed {
			t.Errorf("%q: %v", by, resp.Result)
		}
	}
	_, resp := r.admit(t, scheduled("p", "volcano"))
	want := `spec.schedulerName is "volcano", and only pods of default-scheduler, edge are placed by device here: leave it out, or have the webhook's --scheduler-names or --other-schedulers allow it`
	if resp.Allowed || resp.Result.Message != want {
		t.Errorf("%+v, want a refusal: %s", resp.Result, want)
	}
	r = newRig(t, only, func(c *Config) { c.OtherSchedulers = true }).paper()
	if p, resp := r.admit(t, scheduled("p", "volcano")); !resp.Allowed || selected(p) != "GPU" {
		t.Errorf("admitted %v, got %s", resp.Allowed, selected(p))
	}
}

func TestNotOurs(t *testing.T) {
	r := newRig(t).paper()
	for name, body := range map[string][]byte{
		"no annotation": reviewOf(t, pod("p", "x", "any", func(p *corev1.Pod) { p.Annotations = nil })),
		"one bare key":  reviewOf(t, pod("p", "x", "any", func(p *corev1.Pod) { p.Annotations = map[string]string{"inference": "x"} })),
		"a static pod's mirror": reviewOf(t, pod("door-camera-g", "nonsense", "any", func(p *corev1.Pod) {
			p.Annotations[corev1.MirrorPodAnnotationKey] = "7a59cd048f86ed600cb60ce139d6c6a7"
			p.Spec.NodeName = "g"
		})),
		"an update":     reviewOf(t, pod("p", "nonsense", "any"), func(q *admissionv1.AdmissionRequest) { q.Operation = admissionv1.Update }),
		"a subresource": reviewOf(t, pod("p", "nonsense", "any"), func(q *admissionv1.AdmissionRequest) { q.SubResource = "binding" }),
	} {
		t.Run(name, func(t *testing.T) {
			if status, answer := r.post(t, body); status != http.StatusOK || !strings.Contains(answer, `"allowed":true`) || strings.Contains(answer, "patch") {
				t.Errorf("%d: %s", status, answer)
			}
		})
	}
}

// TestMalformed sends what no API server would: each is a 4xx with a sentence.
func TestMalformed(t *testing.T) {
	r := newRig(t).paper()
	good := string(reviewOf(t, pod("p", "face-recognition", "any")))
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"empty":           {"", 400},
		"garbage":         {"\x00\xff{{{", 400},
		"wrong type":      {`[]`, 400},
		"wrong kind":      {`{"apiVersion":"v1","kind":"Pod"}`, 400},
		"old version":     {strings.Replace(good, "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1), 400},
		"no request":      {`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, 400},
		"no object":       {`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","resource":{"resource":"pods"}}}`, 400},
		"bad quantity":    {strings.Replace(good, `"resources":{}`, `"resources":{"limits":{"cpu":"a lot"}}`, 1), 400},
		"cut off":         {good[:len(good)/2], 400},
		"deeply nested":   {strings.Repeat(`{"a":`, 100_000), 400},
		"larger than all": {strings.Repeat(" ", maxReview+1), 413},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := r.post(t, []byte(c.body))
			if status != c.want || !strings.Contains(answer, `"error":"`) {
				t.Errorf("status %d, want %d: %.300s", status, c.want, answer)
			}
		})
	}
	resp, err := http.Get(r.url + "/mutate")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %s, want 405", resp.Status)
	}
}

func TestStartingUp(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Ready = func() error { return errors.New("waiting for the list of nodes") } })
	status, answer := r.post(t, reviewOf(t, pod("p", "face-recognition", "any")))
	if status != http.StatusServiceUnavailable || !strings.Contains(answer, "waiting for the list of nodes") {
		t.Errorf("%d: %s", status, answer)
	}
}

// TestConstraints asks for any accelerator where only some can be reached.
func TestConstraints(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"anywhere":      {func(*corev1.Pod) {}, "GPU"},
		"node selector": {func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"kubernetes.io/hostname": "n"} }, "NPU"},
		"node affinity": {func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: "kubernetes.io/hostname", Operator: corev1.NodeSelectorOpIn, Values: []string{"f"}},
				}}},
			}}}
		}, "FPGA"},
		"too much memory for any": {func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"memory": resource.MustParse("1Ti")}
		}, "CPU"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).paper()
			p, _ := r.admit(t, pod("p", "face-recognition", "any", c.change))
			if selected(p) != c.want {
				t.Errorf("got %s, want %s: %s", selected(p), c.want, p.Annotations[accel.ReasonAnnotation])
			}
		})
	}
}

// TestManyAtOnce lets many admissions race for few devices: each device goes
// to exactly one.
func TestManyAtOnce(t *testing.T) {
	r := newRig(t)
	const devices, pods = 25, 200
	for i := range devices {
		r.node(fmt.Sprintf("g%d", i), gpu, 1)
		r.node(fmt.Sprintf("n%d", i), npu, 1)
	}
	var mu sync.Mutex
	idle := map[string]int{}
	var wg sync.WaitGroup
	for i := range pods {
		p := pod(fmt.Sprintf("p%d", i), "face-recognition", "gpu,npu")
		body := reviewOf(t, p)
		wg.Go(func() {
			out, _, err := r.admitted(p, body)
			if err != nil {
				t.Error(err)
				return
			}
			// As the API server would, some are shown at once, unbound.
			if i%3 == 0 {
				r.arrives(out, "")
			}
			mu.Lock()
			defer mu.Unlock()
			if !strings.Contains(out.Annotations[accel.ReasonAnnotation], "waits for") {
				idle[selected(out)]++
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(map[string]int{"GPU": devices, "NPU": devices}, idle); diff != "" {
		t.Errorf("decisions that found their kind free (-want +got):\n%s", diff)
	}
}
