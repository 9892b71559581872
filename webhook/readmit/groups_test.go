package readmit

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/admission"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podtest"
	"heteroaccel.io/webhook/refusals"
)

// TestOptionsFollowTheRules: the options of a template are kept, but not past a
// change of its namespace's rules.
func TestOptionsFollowTheRules(t *testing.T) {
	options := podtest.Source(t)
	options.Rules = admission.NewStore()
	r := &term{Readmitter: &Readmitter{Config: Config{Options: options, Refusals: refusals.New(time.Now)}}, optionCache: map[*pending.Template]*cachedOptions{}}
	p, ok := pending.Of(podtest.Admitted(t, "p", "r-1"), podtest.Keys)
	if !ok {
		t.Fatal("the pod does not wait")
	}
	barred := func(want bool) {
		t.Helper()
		if got := r.optionsOf(p.Template); len(got) != 2 {
			t.Fatalf("%d options, want 2", len(got))
		}
		for _, o := range r.optionsOf(p.Template) {
			if got := o.Barred != nil; got != want {
				t.Errorf("%s is barred: %v, want %v (%v)", o.Kind, got, want, o.Barred)
			}
		}
	}
	barred(false)
	options.Rules.SetLimitRange(admission.LimitRangeOf(&corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "l"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypePod, Min: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
		}}},
	}))
	barred(true)
	options.Rules.DeleteLimitRange("ns", "l")
	barred(false)
}
