package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/quota"
	"heteroaccel.io/pkg/servicetime"
)

// unhinted is a profile as one first writes it, learned from over time.
type unhinted struct {
	*rig
	in       *v1alpha1.InferenceProfile
	profiles *profile.Store
	took     map[string]time.Duration // what a run takes
	learned  map[string]servicetime.Measured
	now      time.Time
	pods     int
	// namespaces is how many namespaces the pods are of, in turn.
	namespaces int
}

func newUnhinted(t *testing.T, hints map[string]time.Duration) *unhinted {
	t.Helper()
	u := &unhinted{
		in:      &v1alpha1.InferenceProfile{ObjectMeta: metav1.ObjectMeta{Name: "unhinted"}},
		took:    map[string]time.Duration{"GPU": 500 * time.Millisecond, "NPU": time.Second, "CPU": 3 * time.Second},
		learned: map[string]servicetime.Measured{}, now: time.Now(), namespaces: 1,
	}
	for _, v := range []struct {
		kind  string
		limit corev1.ResourceName
	}{{"GPU", gpu}, {"NPU", npu}, {"CPU", "cpu"}} {
		variant := v1alpha1.Variant{Accelerator: v.kind, Image: "x", Limits: corev1.ResourceList{v.limit: resource.MustParse("1")}}
		if d := hints[v.kind]; d > 0 {
			variant.ServiceTime = &metav1.Duration{Duration: d}
		}
		u.in.Spec.Variants = append(u.in.Spec.Variants, variant)
	}
	u.rig = newRig(t, func(c *Config) { u.profiles, c.Policy, c.Authenticated = c.Profiles, policy.PricedFinish, true })
	u.paper()
	u.set(t)
	return u
}

// set shows the webhook the profile with what was learned.
func (u *unhinted) set(t *testing.T) {
	t.Helper()
	in := u.in.DeepCopy()
	plain, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	for kind, m := range u.learned {
		l := v1alpha1.LearnedTime{Accelerator: kind, VariantHash: plain.Variant(accel.Kind(kind)).Hash}
		for _, n := range m {
			l.Namespaces = append(l.Namespaces, v1alpha1.NamespaceRuns{
				ID: n.Namespace, Runs: n.Runs, Recent: servicetime.Encode(n.Recent), LastObserved: metav1.NewTime(n.Last),
			})
		}
		in.Status.Learned = append(in.Status.Learned, l)
	}
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	u.profiles.Set(p)
}

// run admits a pod, runs it to its end, and returns its kind and the reason.
func (u *unhinted) run(t *testing.T, change ...func(*corev1.Pod)) (kind, reason string) {
	t.Helper()
	u.pods++
	p, _ := u.admit(t, pod(fmt.Sprint("p", u.pods), "unhinted", "any", append(change, func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever })...))
	kind = selected(p)
	u.arrives(p, map[string]string{"GPU": "g", "NPU": "n", "CPU": "f"}[kind])
	u.inv.DeletePod("default", p.Name)
	u.observe(kind)
	u.set(t)
	return kind, p.Annotations[accel.ReasonAnnotation]
}

// observe adds a run on a kind, of the namespace whose turn it is.
func (u *unhinted) observe(kind string) {
	m := u.learned[kind]
	u.learned[kind] = m.Add(fmt.Sprint(m.Runs()%int64(u.namespaces)), servicetime.Estimate{}.Observe(u.took[kind], u.now))
}

// TestNoHints: of a profile without any time the first kind is used first, each
// is timed once, and what turned out to be the fastest gets the rest.
func TestNoHints(t *testing.T) {
	for name, faster := range map[string]string{"as the profile has it": "GPU", "the other way round": "CPU"} {
		t.Run(name, func(t *testing.T) {
			u := newUnhinted(t, nil)
			if faster == "CPU" {
				u.took["GPU"], u.took["CPU"] = u.took["CPU"], u.took["GPU"]
			}
			kind, reason := u.run(t)
			if want := "GPU is free (1 of 1), not timed yet, expected first by the profile's order; NPU free, not timed yet; CPU free, not timed yet"; kind != "GPU" || reason != want {
				t.Errorf("the first is on %s: %s", kind, reason)
			}
			const pods = 40
			trials, late := 0, 0
			for i := range pods {
				kind, reason := u.run(t)
				if strings.Contains(reason, "tried") {
					trials++
					t.Logf("pod %d: %s", i+2, reason)
				}
				if i >= pods/2 && kind != faster {
					late++
				}
			}
			for _, kind := range []string{"GPU", "NPU", "CPU"} {
				if u.learned[kind].Runs() == 0 {
					t.Errorf("%s was never timed", kind)
				}
			}
			if trials == 0 || trials > pods/5 || late > 0 {
				t.Errorf("%d of %d pods were tried; of the second half %d are not on %s", trials, pods, late, faster)
			}
		})
	}
}

// TestWrongHint: a hint that is far too long for the best kind is found out, by one
// namespace within four times, and by three beyond that.
func TestWrongHint(t *testing.T) {
	for name, tt := range map[string]struct {
		hint       time.Duration
		namespaces int
		found      bool
	}{
		"by one namespace":                       {8 * time.Second, 1, true},
		"by three, however wrong":                {30 * time.Second, 3, true},
		"not by one, which could make it up":     {30 * time.Second, 1, false},
		"not by two, of which one could lie too": {30 * time.Second, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUnhinted(t, map[string]time.Duration{"GPU": tt.hint, "CPU": 2 * time.Second})
			u.took["NPU"], u.namespaces = 8*time.Second, tt.namespaces
			var kinds []string
			for range 30 {
				kind, _ := u.run(t)
				kinds = append(kinds, kind)
			}
			found := strings.Join(kinds[25:], " ") == "GPU GPU GPU GPU GPU"
			if kinds[0] != "CPU" || found != tt.found {
				t.Errorf("the GPU, hinted at %s and taking %s, found: %v: %v", tt.hint, u.took["GPU"], found, kinds)
			}
		})
	}
}

// TestServersAreNotTried: what does not end goes by the order, whatever else is
// not timed, and neither a dry run nor a server counts as a pod that was tried.
func TestServersAreNotTried(t *testing.T) {
	u := newUnhinted(t, nil)
	for range 20 {
		u.observe("GPU")
	}
	u.set(t)
	server := func(i int) *corev1.Pod {
		p, _ := u.admit(t, pod(fmt.Sprint("server-", i), "unhinted", "any"))
		return p
	}
	for i, want := range []string{"GPU", "NPU", "CPU"} {
		p := server(i)
		if selected(p) != want {
			t.Errorf("server %d is on %s, want %s: %s", i, selected(p), want, p.Annotations[accel.ReasonAnnotation])
		}
		u.arrives(p, map[string]string{"GPU": "g", "NPU": "n", "CPU": "f"}[selected(p)])
	}
	for i := range 3 {
		u.inv.DeletePod("default", fmt.Sprint("server-", i))
	}
	for range 50 {
		p, _ := u.admit(t, pod("dry", "unhinted", "any", func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }), func(r *admissionv1.AdmissionRequest) { r.DryRun = new(true) })
		if selected(p) != "GPU" {
			t.Fatalf("a dry run is on %s: %s", selected(p), p.Annotations[accel.ReasonAnnotation])
		}
	}
	if kind, reason := u.run(t); kind != "GPU" {
		t.Errorf("a pod after servers and dry runs only is on %s: %s", kind, reason)
	}
}

// TestQuotaEndsTrials: what a quota refuses is not tried.
func TestQuotaEndsTrials(t *testing.T) {
	u := newUnhinted(t, nil)
	u.inv.SetQuota(quota.Of(&corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "team"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"requests." + npu: resource.MustParse("0")}},
		Status: corev1.ResourceQuotaStatus{
			Hard: corev1.ResourceList{"requests." + npu: resource.MustParse("0")},
			Used: corev1.ResourceList{"requests." + npu: resource.MustParse("0")},
		},
	}))
	for range 30 {
		if kind, reason := u.run(t); kind == "NPU" {
			t.Fatalf("a pod is on the NPU: %s", reason)
		}
	}
	if u.learned["CPU"].Runs() == 0 {
		t.Error("the CPU, which no quota refuses, was never tried")
	}
}
