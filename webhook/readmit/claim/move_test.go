package claim

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/podapi"
)

var pods = corev1.SchemeGroupVersion.WithResource("pods")

// claimed is a rig whose pod has its claim for the GPU.
func claimed(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, "GPU")
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	r.shown(t)
	r.took()
	return r
}

// move moves the pod of a rig, and then does what that left to do.
func (r *rig) moveTo(t *testing.T, kind accel.Kind) error {
	t.Helper()
	moved := r.Move(t.Context(), r.shown(t), kind, "it is idle", time.Now())
	r.shown(t)
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	return moved
}

// TestMove: everything is asked about before the claim is deleted, and the pod is changed
// before the next one is created.
func TestMove(t *testing.T) {
	r := claimed(t)
	if err := r.moveTo(t, "CPU"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"get pods", "get resourceclaims", "dry patch pods", "dry patch pods/resize", "dry create resourceclaims",
		"delete resourceclaims", "patch pods", "patch pods/resize", "create resourceclaims",
	}, r.took()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	r.is(t, "CPU")
	r.claimFor(t, "CPU")
	want := resource.MustParse("2")
	if got := r.livePod(t).Spec.Containers[0].Resources.Requests.Cpu(); got.Cmp(want) != 0 {
		t.Errorf("it requests %s of cpu, want %s", got, &want)
	}
}

// TestMoveRefused: whichever part of a move the API server refuses, when it is asked or
// when it is done, the pod has image, annotations and claim of one kind in the end, and
// the refusal is known; what is refused when it is asked leaves the claim as it was.
func TestMoveRefused(t *testing.T) {
	for call, want := range map[string]accel.Kind{
		"dry patch pods": "GPU", "dry patch pods/resize": "GPU", "dry create resourceclaims": "GPU",
		"patch pods": "GPU", "delete resourceclaims": "GPU",
		"patch pods/resize": "CPU", // it runs with what it has
	} {
		t.Run(call, func(t *testing.T) {
			r := claimed(t)
			before := r.liveClaim(t)
			r.answers[call] = denied("a policy is against it")
			err := r.moveTo(t, "CPU")
			if want == "GPU" && (!podapi.Rejected(err) || !strings.Contains(err.Error(), "a policy is against it")) || want != "GPU" && err != nil {
				t.Errorf("error %v", err)
			}
			r.is(t, want)
			r.claimFor(t, want)
			if diff := cmp.Diff(before, r.liveClaim(t)); strings.HasPrefix(call, "dry ") && diff != "" {
				t.Errorf("its claim was changed (-before +after):\n%s", diff)
			}
			if known := r.Refusals.Refusal(r.pods.Get(r.key()).RefusalOwner(), "", "CPU"); (known == nil) == (want == "GPU") {
				t.Errorf("against the CPU: %v", known)
			}
		})
	}
}

// TestMovedClaimDenied: where the claim is denied of a pod that has been moved, the pod
// is stuck at its new kind, is told, and can be moved on.
func TestMovedClaimDenied(t *testing.T) {
	r := claimed(t)
	r.answers["create resourceclaims"] = denied("a policy is against it")
	if err := r.moveTo(t, "NPU"); err != nil {
		t.Fatal(err)
	}
	r.is(t, "NPU")
	p := r.shown(t)
	if told := r.told(); len(told) != 1 || !r.Denied(p) {
		t.Errorf("%q is said, stuck: %t", told, r.Denied(p))
	}
	delete(r.answers, "create resourceclaims")
	if err := r.moveTo(t, "GPU"); err != nil {
		t.Fatal(err)
	}
	r.is(t, "GPU")
	r.claimFor(t, "GPU")
}

// TestMoveWithinQuota: a quota that counts the claim which a move deletes is not in its
// way, neither before it is deleted nor for the moment after.
func TestMoveWithinQuota(t *testing.T) {
	full := denied("exceeded quota: q, requested: count/resourceclaims.resource.k8s.io=1, used: count/resourceclaims.resource.k8s.io=1, limited: count/resourceclaims.resource.k8s.io=1")
	r := claimed(t)
	r.answers["dry create resourceclaims"], r.answers["create resourceclaims"] = full, full
	if err := r.Move(t.Context(), r.shown(t), "NPU", "it is idle", time.Now()); err != nil {
		t.Fatal(err)
	}
	r.is(t, "NPU")
	r.shown(t)
	if err := r.sync(t.Context(), r.key()); !errors.Is(err, errCounted) {
		t.Errorf("error %v, want %v", err, errCounted)
	}
	if told := r.told(); len(told) > 0 {
		t.Errorf("%q is said", told)
	}
	delete(r.answers, "create resourceclaims")
	if err := r.sync(t.Context(), r.key()); err != nil {
		t.Fatal(err)
	}
	r.claimFor(t, "NPU")

	r = claimed(t)
	r.answers["dry create resourceclaims"] = denied("exceeded quota: q, requested: npu.test.deviceclass.resource.k8s.io/devices=1, used: npu.test.deviceclass.resource.k8s.io/devices=0, limited: npu.test.deviceclass.resource.k8s.io/devices=0")
	if err := r.moveTo(t, "NPU"); !podapi.Rejected(err) {
		t.Errorf("error %v: it is moved to a kind of which its quota has none", err)
	}
	r.claimFor(t, "GPU")
}

// TestMoveOfAllocated: a claim that has a device is never deleted.
func TestMoveOfAllocated(t *testing.T) {
	r := claimed(t)
	c := r.liveClaim(t)
	c.Status.Allocation = &resourcev1.AllocationResult{}
	if err := r.api.Tracker().Update(claims, c, "ns"); err != nil {
		t.Fatal(err)
	}
	if err := r.moveTo(t, "NPU"); !errors.Is(err, podapi.ErrChanged) {
		t.Errorf("error %v, want %v", err, podapi.ErrChanged)
	}
	r.is(t, "GPU")
	r.claimFor(t, "GPU")
}
