//go:build long

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/kube"
)

const (
	claimCount    = "count/resourceclaims.resource.k8s.io"
	gpuClaims     = "gpu.test.deviceclass.resource.k8s.io/devices"
	claimsRefused = `heteroaccel_webhook_claims_total{outcome="refused"}`
)

// TestLateRefused: whatever the API server refuses of binding a pod late, the pod is told
// once, keeps what it has, and goes on when it can.
func TestLateRefused(t *testing.T) {
	runShared(t, lateCluster(t, machine.Paper()), []shared{
		{"by a quota of claims", claimOverQuota},
		{"by a quota of one kind", kindOverQuota},
		{"by a quota that counts the claim before", quotaCountsOwnClaim},
		{"by a claim of somebody else's", foreignClaim},
		{"the image", refusedOnMove("pods", "UPDATE", "object.spec.containers.exists(c, c.image == 'late:npu')", false)},
		{"the amounts", refusedOnMove("pods/resize", "UPDATE", "true", false)},
		{"the next claim", refusedOnMove("resourceclaims", "CREATE", npuClaim, false)},
		{"the image, when it is done", refusedOnMove("pods", "UPDATE", "object.spec.containers.exists(c, c.image == 'late:npu')", true)},
		{"the next claim, when it is done", refusedOnMove("resourceclaims", "CREATE", npuClaim, true)},
		{"suspended", lateSuspended},
	})
}

const npuClaim = "object.spec.devices.requests.exists(r, r.name == 'npu')"

// claimOverQuota: a quota without room for any claim has the pod wait, which it is told
// once; it runs when there is room.
func claimOverQuota(t *testing.T, s *stack.Stack) {
	const ns = "no-claims"
	namespace(t, s, ns)
	limited(t, s, ns, map[string]string{claimCount: "0"})
	noRoom(t, s, ns)
	refused := more(t, s, claimsRefused, 4)
	p := create(t, s, inTeam(latePod("waits", "gpu,npu"), ns))
	isTold(t, s, p, "exceeded quota: team")
	isTold(t, s, p, "change the quota or policy")
	refused()
	toldTimes(t, s, p, 1)
	limited(t, s, ns, map[string]string{claimCount: "3"})
	agreed(t, s, p)
	toldTimes(t, s, p, 1)
}

// kindOverQuota: a pod whose kind is idle, and denied by a quota, gets another kind.
func kindOverQuota(t *testing.T, s *stack.Stack) {
	const ns = "no-gpus"
	namespace(t, s, ns)
	limited(t, s, ns, map[string]string{gpuClaims: "0"})
	noRoom(t, s, ns)
	p := create(t, s, inTeam(latePod("goes-on", "gpu,npu"), ns))
	ran := agreed(t, s, p)
	wantKind(t, ran, "NPU")
	if !strings.Contains(reason(ran), "refused by the API server") {
		t.Errorf("its reason does not say why it has no GPU: %s", reason(ran))
	}
}

// quotaCountsOwnClaim: a quota with room for one claim does not keep the pod that has it
// from being moved.
func quotaCountsOwnClaim(t *testing.T, s *stack.Stack) {
	const ns = "one-claim"
	namespace(t, s, ns)
	limited(t, s, ns, map[string]string{claimCount: "1"})
	_, npu, waits := bothHeld(t, s, ns)
	free(t, s, npu)
	wantKind(t, agreed(t, s, waits), "NPU")
	toldTimes(t, s, waits, 0)
}

// foreignClaim: a claim of the pod's name that somebody else made is left alone, the pod
// is told once, and gets its own when that is gone.
func foreignClaim(t *testing.T, s *stack.Stack) {
	allow := denies(t, s, "no-claims-at-first", "resourceclaims", "CREATE", "request.userInfo.username.endsWith(':heteroaccel-webhook')", false)
	p := create(t, s, latePod("robbed", "gpu"))
	isTold(t, s, p, "not for here")
	claims := s.Client().ResourceV1().ResourceClaims(p.Namespace)
	theirs, err := claims.Create(t.Context(), gpuClaim(*p.Spec.ResourceClaims[0].ResourceClaimName, "nobody.has"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	allow()
	isTold(t, s, p, "delete that claim")
	if now, err := claims.Get(t.Context(), theirs.Name, metav1.GetOptions{}); err != nil || now.UID != theirs.UID || len(now.OwnerReferences) > 0 || now.Status.Allocation != nil {
		t.Errorf("the claim was touched: %+v, %v", now, err)
	}
	toldTimes(t, s, p, 2) // by the policy, and by the claim
	if err := claims.Delete(t.Context(), theirs.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, agreed(t, s, p), "GPU")
	toldTimes(t, s, p, 2)
}

// refusedOnMove: a policy denies a part of a move: when it is asked about, or only when it
// is done. The pod keeps its claim, or gets it again, waits for its old kind, and is told
// once; it runs on that.
func refusedOnMove(resource, operation, what string, doneOnly bool) func(*testing.T, *stack.Stack) {
	return func(t *testing.T, s *stack.Stack) {
		gpu, npu, waits := bothHeld(t, s, metav1.NamespaceDefault)
		before := waitsWith(t, s, waits)
		allow := denies(t, s, "no-moves", resource, operation, what, doneOnly)
		defer allow()
		free(t, s, npu)
		isTold(t, s, waits, "not for here")
		if !doneOnly {
			now := get(t, s, waits)
			if c, err := claimOf(t.Context(), s, now); err != nil || c == nil || c.UID != before.UID || agrees(now, c) != nil {
				t.Errorf("its claim was %+v and is %+v: %v, %v", before, c, err, agrees(now, c))
			}
		}
		free(t, s, gpu)
		wantKind(t, agreed(t, s, waits), "GPU")
		toldTimes(t, s, waits, 1)
	}
}

// lateSuspended: while re-admission is suspended a new pod gets its claim, and no pod that
// waits is moved.
func lateSuspended(t *testing.T, s *stack.Stack) {
	maps := s.Client().CoreV1().ConfigMaps(stack.Namespace)
	off := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: kube.SwitchName}, Data: map[string]string{"suspended": "true"}}
	if _, err := maps.Create(t.Context(), off, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		v, err := metric(ctx, s, "heteroaccel_webhook_readmission_suspended")
		if err == nil && v != 1 {
			err = errors.New("the webhook does not know yet")
		}
		return err
	})
	_, npu, waits := bothHeld(t, s, metav1.NamespaceDefault)
	before := waitsWith(t, s, waits)
	free(t, s, npu)
	eventuallyWould(t, s, latePod("", "npu,gpu"), "NPU") // the webhook knows that it is idle
	third := agreed(t, s, create(t, s, latePod("new", "npu")))
	if c, err := claimOf(t.Context(), s, get(t, s, waits)); err != nil || c == nil || c.UID != before.UID {
		t.Errorf("it is moved while that is suspended: %+v, %v", c, err)
	}
	free(t, s, third)
	if err := maps.Delete(t.Context(), kube.SwitchName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, agreed(t, s, waits), "NPU")
}

// bothHeld has the GPU and the NPU held, and a pod wait for the GPU that may have either.
func bothHeld(t *testing.T, s *stack.Stack, ns string) (gpu, npu, waits *corev1.Pod) {
	t.Helper()
	eventuallyWould(t, s, latePod("", "gpu,npu"), "GPU")
	gpu = agreed(t, s, create(t, s, latePod("holds-gpu", "gpu")))
	eventuallyWould(t, s, latePod("", "npu,gpu"), "NPU")
	npu = agreed(t, s, create(t, s, latePod("holds-npu", "npu")))
	// However long the GPU's queue is by now, the NPU's is longer.
	lateProfile(t, s, "24h")
	eventuallyWould(t, s, latePod("", "npu,gpu"), "GPU")
	// What is refused a pod is remembered of its name.
	waits = create(t, s, inTeam(latePod("waits-"+strings.ToLower(rand.Text()), "gpu,npu"), ns))
	wantKind(t, waits, "GPU")
	waitsWith(t, s, waits)
	lateProfile(t, s, "2s")
	return gpu, npu, waits
}

// noRoom waits until a quota has no room for a claim of a GPU.
func noRoom(t *testing.T, s *stack.Stack, ns string) {
	t.Helper()
	probe := gpuClaim("probe", "gpu.test")
	eventually(t, func(ctx context.Context) error {
		_, err := s.Client().ResourceV1().ResourceClaims(ns).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), "exceeded quota") {
			return fmt.Errorf("the quota does not refuse: %v", err)
		}
		return nil
	})
}

func gpuClaim(name, class string) *resourcev1.ResourceClaim {
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{
			Name: "gpu", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class},
		}}}},
	}
}

func inTeam(p *corev1.Pod, ns string) *corev1.Pod {
	p.Namespace = ns
	return p
}

// denies has the API server refuse an operation where an expression about it holds, of
// everybody, until what it returns is called; with doneOnly only what is no dry run.
func denies(t *testing.T, s *stack.Stack, name, resource, operation, what string, doneOnly bool) (allow func()) {
	t.Helper()
	dry := "has(request.dryRun) && request.dryRun"
	if !doneOnly {
		dry = "false"
	}
	group := ""
	if resource == "resourceclaims" {
		group = "resource.k8s.io"
	}
	manifest := fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: ["%[2]s", ""], apiVersions: [v1], operations: [%[3]s], resources: ["%[4]s", configmaps]}]}
  validations:
  - {expression: %[5]q, message: "this is not for here"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s, validationActions: [Deny]}
`, name, group, operation, resource,
		fmt.Sprintf("request.resource.resource == 'configmaps' ? object.metadata.name != 'probe' : ((%s) || !(%s))", dry, what))
	probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: metav1.NamespaceDefault}}
	maps := s.Client().CoreV1().ConfigMaps(probe.Namespace)
	if operation == "UPDATE" {
		if _, err := maps.Create(t.Context(), probe.DeepCopy(), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	enforced := func(want bool) {
		t.Helper()
		eventually(t, func(ctx context.Context) (err error) {
			if operation == "UPDATE" {
				_, err = maps.Patch(ctx, "probe", types.MergePatchType, []byte(`{"data":{"a":"b"}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
			} else {
				_, err = maps.Create(ctx, probe.DeepCopy(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			}
			if refused := err != nil && strings.Contains(err.Error(), "not for here"); refused != want {
				return fmt.Errorf("the policy refuses: %t, want %t: %v", refused, want, err)
			}
			return nil
		})
	}
	if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	enforced(true)
	return func() {
		t.Helper()
		if said, err := s.KubectlInput(t.Context(), manifest, "delete", "-f", "-"); err != nil {
			t.Errorf("%v: %s", err, said)
		}
		enforced(false)
		if operation == "UPDATE" {
			if err := maps.Delete(t.Context(), "probe", metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
	}
}
