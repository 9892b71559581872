package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
)

var start = time.Unix(1_000, 0)

// pod is one of the owner "web", named and identified alike.
func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), Labels: map[string]string{"owner": "web"}}}
	for _, c := range change {
		c(p)
	}
	return p
}

func phase(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Phase = phase }
}

func preempted(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler}}
}

func released(p *corev1.Pod) { p.Labels[accel.ReleasedLabel] = "code" }

func TestOwed(t *testing.T) {
	tests := map[string]struct {
		do   func(l *Ledger)
		want Standing
	}{
		"never had one": {
			do:   func(*Ledger) {},
			want: Standing{Desired: 2},
		},
		"has them": {
			do:   func(l *Ledger) { l.Set(pod("a"), start); l.Set(pod("b"), start) },
			want: Standing{Desired: 2, Live: 2, Owed: 2},
		},
		"one went": {
			do: func(l *Ledger) {
				l.Set(pod("a"), start)
				l.Set(pod("b"), start)
				l.Delete(pod("b"), start.Add(time.Second))
			},
			want: Standing{Desired: 2, Live: 1, Owed: 2, ShortSince: start.Add(time.Second), Lost: pod("b")},
		},
		"one went and came back": {
			do: func(l *Ledger) {
				l.Set(pod("a"), start)
				l.Set(pod("b"), start)
				l.Delete(pod("b"), start)
				l.Set(pod("c"), start)
			},
			want: Standing{Desired: 2, Live: 2, Owed: 2, Lost: pod("b")},
		},
		"one was evicted by the soak": {
			do: func(l *Ledger) {
				l.Set(pod("a"), start)
				l.Set(pod("b"), start)
				l.Evict("b")
				l.Delete(pod("b"), start)
			},
			want: Standing{Desired: 2, Live: 1, Owed: 1, ShortSince: start},
		},
		"one was preempted": {
			do: func(l *Ledger) {
				l.Set(pod("a"), start)
				l.Set(pod("b"), start)
				l.Delete(pod("b", preempted), start)
			},
			want: Standing{Desired: 2, Live: 1, Owed: 1, ShortSince: start},
		},
		"one succeeded": {
			do: func(l *Ledger) {
				l.Set(pod("a"), start)
				l.Set(pod("b"), start)
				l.Set(pod("b", phase(corev1.PodSucceeded)), start)
			},
			want: Standing{Desired: 2, Live: 1, Owed: 1, Succeeded: 1, ShortSince: start},
		},
		"one that succeeded was removed": {
			do: func(l *Ledger) {
				l.Set(pod("a"), start)
				l.Set(pod("b", phase(corev1.PodSucceeded)), start)
				l.Delete(pod("b", phase(corev1.PodSucceeded)), start)
			},
			want: Standing{Desired: 2, Live: 1, Owed: 1, Succeeded: 1, ShortSince: start},
		},
		"one was released from its Job": {
			do:   func(l *Ledger) { l.Set(pod("a"), start); l.Set(pod("b"), start); l.Set(pod("b", released), start) },
			want: Standing{Desired: 2, Live: 1, Owed: 2, ShortSince: start, Lost: pod("b", released)},
		},
		"the owner was made smaller": {
			do: func(l *Ledger) {
				l.Set(pod("a"), start)
				l.Set(pod("b"), start)
				l.Want("web", 1)
				l.Delete(pod("b"), start)
			},
			want: Standing{Desired: 1, Live: 1, Owed: 1, Lost: pod("b")},
		},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			l := New("owner")
			l.Want("web", 2)
			c.do(l)
			got := l.Of("web")
			if c.want.ShortSince.IsZero() && got.Live < got.Desired {
				got.ShortSince = time.Time{} // where the case is about something else
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("standing (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWaits(t *testing.T) {
	bound := func(p *corev1.Pod) { p.Spec.NodeName = "n" }
	l := New("owner")
	l.Set(pod("a"), start)
	l.Set(pod("a", bound), start.Add(2*time.Second))
	l.Set(pod("b"), start)
	l.Delete(pod("b"), start.Add(time.Second)) // for another kind, under its name
	again := pod("b")
	again.UID = "b2"
	l.Set(again, start.Add(time.Second))
	done := pod("b", bound)
	done.UID = "b2"
	l.Set(done, start.Add(5*time.Second))
	l.Set(pod("c"), start)
	l.Set(pod("other", func(p *corev1.Pod) { p.Labels = nil }), start)
	if diff := cmp.Diff([]time.Duration{2 * time.Second, 5 * time.Second}, l.Waits()); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if since := l.Since("ns", "b"); !since.Equal(start) {
		t.Errorf("b waits since %s, want %s", since, start)
	}
	if got := len(l.Pods()); got != 3 {
		t.Errorf("%d pods are there, want 3", got)
	}
}

func TestLacked(t *testing.T) {
	l := New("owner")
	l.Want("web", 1)
	if owner, longest := l.Lacked(start.Add(time.Hour)); longest != 0 {
		t.Errorf("%s lacked a pod for %s before it had one", owner, longest)
	}
	l.Set(pod("a"), start)
	l.Delete(pod("a"), start.Add(time.Second))
	l.Set(pod("b"), start.Add(4*time.Second))
	l.Delete(pod("b"), start.Add(5*time.Second))
	for now, want := range map[time.Duration]time.Duration{6 * time.Second: 3 * time.Second, 15 * time.Second: 10 * time.Second} {
		if owner, longest := l.Lacked(start.Add(now)); owner != "web" || longest != want {
			t.Errorf("after %s %q has lacked a pod for %s, want web for %s", now, owner, longest, want)
		}
	}
}
