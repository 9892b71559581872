package claim

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestDeniedIsSaidOnce: a claim that is denied is asked for after longer and longer
// pauses, and each reason is said once, whatever a quota counts meanwhile.
func TestDeniedIsSaidOnce(t *testing.T) {
	r := newRig(t, "GPU")
	p := r.shown(t)
	for i, step := range []struct {
		message string
		told    int
	}{
		{"exceeded quota: q, requested: count/x=1, used: count/x=3, limited: count/x=3", 1},
		{"exceeded quota: q, requested: count/x=1, used: count/x=4, limited: count/x=3", 0},
		{"a policy is against it", 1},
		{"exceeded quota: q, requested: count/x=1, used: count/x=3, limited: count/x=3", 0},
	} {
		r.answers["create resourceclaims"] = denied(step.message)
		if err := r.sync(t.Context(), r.key()); err != nil {
			t.Fatal(err)
		}
		told := r.told()
		if len(told) != step.told {
			t.Errorf("%d: %q is said, want %d Events", i, told, step.told)
		}
		if step.told > 0 && (!strings.Contains(told[0], "NotClaimed") || !strings.Contains(told[0], step.message)) {
			t.Errorf("%d: %q is said, want the API server's words", i, told)
		}
	}
	if !r.Denied(p) || !r.Told(p) {
		t.Error("nobody knows that it is stuck")
	}
	if again, _ := r.denials.add(p, "GPU", "a policy is against it"); again != 16*firstDenied {
		t.Errorf("after the fifth time it is asked for again in %s, want %s", again, 16*firstDenied)
	}
	for range 10 {
		if again, _ := r.denials.add(p, "GPU", ""); again > maxDenied {
			t.Errorf("it is asked for again in %s", again)
		}
	}
	delete(r.answers, "create resourceclaims")
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	r.claimFor(t, "GPU")
	if r.Denied(p) || r.Told(p) || len(r.told()) > 0 {
		t.Error("it has its claim, and counts as denied")
	}
}

// TestForeignClaim: a claim of the pod's that is somebody else's is neither adopted nor
// deleted, the pod is told once, and goes on as soon as it is gone.
func TestForeignClaim(t *testing.T) {
	r := newRig(t, "GPU")
	p := r.shown(t)
	theirs := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: p.Claim, UID: "theirs"}}
	r.has(t, theirs)
	before := r.liveClaim(t)
	for range 3 {
		if err := r.sync(t.Context(), r.key()); err != nil {
			t.Fatal(err)
		}
		if err := r.Move(t.Context(), p, "NPU", "it is idle", time.Now()); err == nil {
			t.Error("it is moved")
		}
	}
	if diff := cmp.Diff(before, r.liveClaim(t)); diff != "" {
		t.Errorf("the claim was changed (-before +after):\n%s", diff)
	}
	if told := r.told(); len(told) != 1 || !strings.Contains(told[0], "delete that claim") {
		t.Errorf("%q is said, want once what to do", told)
	}
	r.is(t, "GPU")
	if err := r.api.Tracker().Delete(claims, "ns", p.Claim); err != nil {
		t.Fatal(err)
	}
	for r.queue.Len() > 0 { // what the moves left
		name, _ := r.queue.Get()
		r.queue.Done(name)
	}
	r.Gone(claimOf(p), r.known.Delete(claimOf(p)))
	if r.queue.Len() != 1 {
		t.Fatal("that it is gone has nobody look")
	}
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	r.claimFor(t, "GPU")
}

// TestContested: before a claim is created that was there before, or that an earlier term
// may have deleted, the pod is changed, so that whoever moves it is refused; and the pod
// is looked at as it is, not as the feed shows it.
func TestContested(t *testing.T) {
	r := newRig(t, "GPU")
	p := r.shown(t)
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"create resourceclaims"}, r.took()); diff != "" {
		t.Errorf("a new pod (-want +got):\n%s", diff)
	}
	r.shown(t)
	if err := r.api.Tracker().Delete(claims, "ns", p.Claim); err != nil {
		t.Fatal(err)
	}
	r.Gone(claimOf(p), r.known.Delete(claimOf(p)))
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"get pods", "patch pods", "create resourceclaims"}, r.took()); diff != "" {
		t.Errorf("a pod that lost its claim (-want +got):\n%s", diff)
	}
	r.claimFor(t, "GPU")
}

// TestMovedMeanwhile: no claim is created for the kind of which the feed shows a pod that
// somebody has moved meanwhile.
func TestMovedMeanwhile(t *testing.T) {
	r := newRig(t, "GPU")
	p := r.shown(t)
	if err := r.Move(t.Context(), p, "NPU", "it is idle", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := r.api.Tracker().Delete(claims, "ns", p.Claim); err != nil {
		t.Fatal(err)
	}
	r.Gone(claimOf(p), p.Key())
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	if c := r.liveClaim(t); c != nil {
		t.Errorf("a claim for %s was created", c.Spec.Devices.Requests[0].Name)
	}
	r.shown(t)
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	r.claimFor(t, "NPU")
}

// TestOwedAmounts: a pod whose move ended between its image and its amounts gets them
// before its claim; where they are refused, it runs with what it has.
func TestOwedAmounts(t *testing.T) {
	for name, refusal := range map[string]error{"granted": nil, "refused": denied("no more cores")} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "GPU")
			had := r.livePod(t).Spec.Containers[0].Resources
			if err := r.Move(t.Context(), r.shown(t), "CPU", "it is idle", time.Now()); err != nil {
				t.Fatal(err)
			}
			half := r.livePod(t)
			half.Spec.Containers[0].Resources = had
			if err := r.api.Tracker().Update(pods, half, "ns"); err != nil {
				t.Fatal(err)
			}
			if err := r.api.Tracker().Delete(claims, "ns", r.claimName()); err != nil {
				t.Fatal(err)
			}
			r.shown(t)
			r.answers["patch pods/resize"] = refusal
			if err := r.sync(t.Context(), r.key()); err != nil {
				t.Fatal(err)
			}
			r.is(t, "CPU")
			r.claimFor(t, "CPU")
			want := resource.MustParse("2")
			if refusal != nil {
				want = *had.Requests.Cpu()
			}
			if got := r.livePod(t).Spec.Containers[0].Resources.Requests.Cpu(); got.Cmp(want) != 0 {
				t.Errorf("it requests %s of cpu, want %s", got, &want)
			}
		})
	}
}

// TestDeviceDuringAMove: where a claim got a device of another kind than that of its pod,
// the pod becomes one of the claim's.
func TestDeviceDuringAMove(t *testing.T) {
	r := newRig(t, "GPU")
	p := r.shown(t)
	c := of(p, "NPU", "npu.test")
	c.UID, c.Status.Allocation = types.UID("c"), &resourcev1.AllocationResult{}
	r.has(t, c)
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	r.is(t, "NPU")
	if got := r.liveClaim(t); got == nil || got.UID != "c" {
		t.Errorf("its claim is %+v", got)
	}
}

// TestForgets: nothing is kept of a pod that is gone or has its claim.
func TestForgets(t *testing.T) {
	for name, over := range map[string]func(*rig){
		"gone":    func(r *rig) { r.pods.Delete(r.key()) },
		"claimed": func(r *rig) { r.known.Set(of(r.pods.Get(r.key()), "GPU", "gpu.test")) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "GPU")
			p := r.shown(t)
			r.Gone(claimOf(p), p.Key())
			r.deny(p, "", foreign{p.Claim})
			over(r)
			r.Look(r.key())
			if n := len(r.contested) + len(r.denials.of) + len(r.denials.foreign) + len(r.pauses.of); n > 0 {
				t.Errorf("%d things are kept", n)
			}
		})
	}
}
