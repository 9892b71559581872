package workload_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/webhook/workload"
)

var epoch = time.Unix(1_700_000_000, 0)

// pod is one of the face-recognition's, with what edit makes of it.
func pod(kind accel.Kind, edit func(*inventory.Pod)) *inventory.Pod {
	p := &inventory.Pod{
		Namespace: "lab", Name: "p",
		Managed: &inventory.Managed{Inference: "face-recognition", Kind: kind},
		Run:     &inventory.Run{Created: epoch},
	}
	edit(p)
	return p
}

func on(node string) func(*inventory.Pod) { return func(p *inventory.Pod) { p.Node = node } }

func runs(p *inventory.Pod) { p.Node, p.Run.Started = "g", epoch.Add(5*time.Second) }

func profiles(t *testing.T) *profile.Store {
	t.Helper()
	s := profile.NewStore()
	err := s.Put(&v1alpha1.InferenceProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "face-recognition"},
		Spec: v1alpha1.InferenceProfileSpec{Container: "inference", Variants: []v1alpha1.Variant{
			{Accelerator: "GPU", Image: "a", Device: "GPU", ServiceTime: &metav1.Duration{Duration: 76 * time.Millisecond}, Limits: corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")}},
			{Accelerator: "CPU", Image: "a", Device: "CPU", Limits: corev1.ResourceList{"cpu": resource.MustParse("4")}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCollect: the pods that have not ended, by how far they are, and the times of the
// profiles; of a replica that does not decide, nothing.
func TestCollect(t *testing.T) {
	pods := []*inventory.Pod{
		pod("GPU", on("")), pod("GPU", on("")), pod("GPU", on("g")), pod("GPU", runs), pod("CPU", runs),
		pod("GPU", func(p *inventory.Pod) { runs(p); p.Done = true }),
	}
	var leads error
	c := workload.New(func() []*inventory.Pod { return pods }, profiles(t), func() error { return leads }, time.Now)
	const want = `# HELP heteroaccel_webhook_pods Pods that were admitted for an accelerator and have not ended, by how far they are.
# TYPE heteroaccel_webhook_pods gauge
heteroaccel_webhook_pods{inference="face-recognition",kind="CPU",pod_namespace="lab",state="running"} 1
heteroaccel_webhook_pods{inference="face-recognition",kind="GPU",pod_namespace="lab",state="running"} 1
heteroaccel_webhook_pods{inference="face-recognition",kind="GPU",pod_namespace="lab",state="starting"} 1
heteroaccel_webhook_pods{inference="face-recognition",kind="GPU",pod_namespace="lab",state="waiting"} 2
# HELP heteroaccel_webhook_run_seconds How long a run takes: as the profile hints, as was learned, as is expected of both, and how long an inference on a server, as these report it.
# TYPE heteroaccel_webhook_run_seconds gauge
heteroaccel_webhook_run_seconds{inference="face-recognition",kind="GPU",source="expected"} 0.076
heteroaccel_webhook_run_seconds{inference="face-recognition",kind="GPU",source="hint"} 0.076
`
	names := []string{"heteroaccel_webhook_pods", "heteroaccel_webhook_run_seconds"}
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	leads = errors.New("another does")
	if n := testutil.CollectAndCount(c, names...); n != 0 {
		t.Errorf("%d series of a replica that does not decide", n)
	}
}

// TestStarted: a wait is from the first admission to the start; the API's times are whole
// seconds, and our clock decides within them.
func TestStarted(t *testing.T) {
	for name, tt := range map[string]struct {
		edit  func(*inventory.Pod)
		seen  time.Duration // after the pod was created
		leads error
		want  float64 // -1 for none
	}{
		"seen at once":         {runs, 5200 * time.Millisecond, nil, 5.2},
		"seen late":            {runs, time.Minute, nil, 6},
		"our clock is behind":  {runs, 0, nil, 5},
		"recreated":            {func(p *inventory.Pod) { runs(p); p.Managed.FirstAdmitted = epoch.Add(-time.Hour) }, 5 * time.Second, nil, 3605},
		"the node's is behind": {func(p *inventory.Pod) { runs(p); p.Run.Started = epoch.Add(-time.Hour) }, 5 * time.Second, nil, 0},
		"not ours":             {func(p *inventory.Pod) { runs(p); p.Managed = nil }, 0, nil, -1},
		"no such profile":      {func(p *inventory.Pod) { runs(p); p.Managed.Inference = "gone" }, 0, nil, -1},
		"another decides":      {runs, 0, errors.New("another does"), -1},
	} {
		t.Run(name, func(t *testing.T) {
			c := workload.New(func() []*inventory.Pod { return nil }, profiles(t), func() error { return tt.leads }, func() time.Time { return epoch.Add(tt.seen) })
			c.Started(pod("GPU", tt.edit))
			sum, n := waits(t, c)
			if want := tt.want >= 0; n > 0 != want || n > 0 && (n != 1 || sum != tt.want) {
				t.Errorf("%d waits of %g s, want one of %g", n, sum, tt.want)
			}
		})
	}
}

// waits are the sum and the count of the histogram.
func waits(t *testing.T, c *workload.Collector) (sum float64, n uint64) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "heteroaccel_webhook_pod_wait_seconds" {
				sum += m.GetHistogram().GetSampleSum()
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return sum, n
}
