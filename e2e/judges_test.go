package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
)

// TestJudges: the API server's admission and the scheduler have the last word.
// What they are against is found out before anything is deleted, or made up for
// at once.
func TestJudges(t *testing.T) {
	s := start(t, stack.Config{Machines: []*machine.Machine{
		machine.Fleet(1, machine.Shape{GPUs: 2, Cores: 8})[0],
		machine.Fleet(2, machine.Shape{Sticks: 1, FPGAs: 1, Cores: 8})[1],
	}})
	runShared(t, s, []shared{
		{"asked before it is deleted", askedBeforeDeleted},
		{"refused all the same", refusedAllTheSame},
		{"refused from the start", refusedFromTheStart},
		{"scheduler finds no node", schedulerFindsNoNode},
		{"passed over", passedOver},
		{"unwanted", unwanted},
		{"suspended", suspended},
		{"opted out", optedOut},
		{"on delete", onDelete},
	})
}

// forbid has the API server refuse pods with an image, if an expression about
// the request holds, until the function it returns is called.
func forbid(t *testing.T, s *stack.Stack, name, image, expression string) (allow func()) {
	t.Helper()
	manifest := fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  matchConditions: [{name: whose, expression: %[3]q}]
  validations: [{expression: "!object.spec.containers.exists(c, c.image.endsWith('%[2]s'))", message: "images %[2]s are not for here"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s, validationActions: [Deny]}
`, name, image, expression)
	if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if said, err := s.KubectlInput(ctx, manifest, "delete", "-f", "-"); err != nil {
			t.Errorf("%v: %s", err, said)
		}
		enforced(t, s, image, false)
	}
}

// enforced waits until the API server refuses a pod with an image, or does not.
func enforced(t *testing.T, s *stack.Stack, image string, want bool) {
	t.Helper()
	p := plainPod("", func(p *corev1.Pod) { p.GenerateName = "probe-"; p.Spec.Containers[0].Image = "x" + image })
	eventually(t, func(ctx context.Context) error {
		_, err := s.Client().CoreV1().Pods(p.Namespace).Create(ctx, p.DeepCopy(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if refused := err != nil && strings.Contains(err.Error(), "not for here"); refused != want {
			return fmt.Errorf("the policy refuses: %v (%v), want %v", refused, err, want)
		}
		return nil
	})
}

// enforcedOn waits until the API server refuses a user a pod that it would
// create, and leaves none behind.
func enforcedOn(t *testing.T, s *stack.Stack, user, image string) {
	t.Helper()
	p := plainPod("probe", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "x" + image })
	eventually(t, func(ctx context.Context) error {
		said, err := s.KubectlInput(ctx, manifest(t, p), "create", "--as="+user, "--as-group=system:masters", "-f", "-")
		if err != nil {
			if strings.Contains(said+err.Error(), "not for here") {
				return nil
			}
			return fmt.Errorf("%w: %s", err, said)
		}
		now := int64(0)
		return errors.Join(errors.New("the policy does not refuse yet"),
			s.Client().CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	})
}

// onePod waits until exactly one pod labelled app: waits is there for which
// check passes.
func onePod(t *testing.T, s *stack.Stack, check func(*corev1.Pod) error) corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	eventually(t, func(ctx context.Context) error {
		pods, err := waits(ctx, s)
		if err != nil {
			return err
		}
		if len(pods) != 1 {
			return fmt.Errorf("%d pods are there, want 1", len(pods))
		}
		pod = pods[0]
		if err := check(&pod); err != nil {
			return fmt.Errorf("%w: pod %s %s on %s: %s", err, pod.Name, pod.Status.Phase, kind(&pod), reason(&pod))
		}
		return nil
	})
	return pod
}

// fillDevices takes all GPUs, and so many sticks.
func fillDevices(t *testing.T, s *stack.Stack, sticks int) (held []*corev1.Pod) {
	t.Helper()
	for range 2 {
		held = append(held, occupy(t, s, gpuResource))
	}
	for range sticks {
		held = append(held, occupy(t, s, stickResource))
	}
	return held
}

// askedBeforeDeleted: a policy refuses the kind that becomes idle. No owner's
// pod is deleted for it, each is told why, and each gets another kind that is
// idle later on.
func askedBeforeDeleted(t *testing.T, s *stack.Stack) {
	defer forbid(t, s, "no-sticks", ":npu", "object.metadata.namespace == 'default'")()
	enforced(t, s, ":npu", true)
	for _, owner := range []string{"bare pod", "Deployment", "StatefulSet", "Job", "Indexed Job", "ReplicationController"} {
		t.Run(owner, func(t *testing.T) {
			manifest := waitingOwners[owner]
			held := fillDevices(t, s, 1)
			before := waitsFor(t, s, manifest, "GPU")
			vacate(t, s, held[2])
			eventually(t, func(ctx context.Context) error {
				events, err := s.Client().EventsV1().Events(before.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=NotReadmitted,regarding.uid=" + string(before.UID)})
				if err == nil && (len(events.Items) == 0 || !strings.Contains(events.Items[0].Note, "images :npu are not for here")) {
					err = fmt.Errorf("no Event tells why: %v", events.Items)
				}
				return err
			})
			onePod(t, s, func(p *corev1.Pod) error {
				if p.UID != before.UID {
					return errors.New("it was recreated for a kind that is refused")
				}
				return nil
			})
			vacate(t, s, held[0])
			onePod(t, s, func(p *corev1.Pod) error {
				if p.Status.Phase != corev1.PodRunning || kind(p) != "GPU" {
					return errors.New("it does not run on the GPU that freed")
				}
				return nil
			})
			clear(t, s, manifest)
			vacate(t, s, held[1])
		})
	}
}

// refusedAllTheSame: a policy lets our dry run pass and refuses the controller.
// The pod is not lost: the next one gets another kind at once. A Deployment's
// next pod is created by us, and not refused at all.
func refusedAllTheSame(t *testing.T, s *stack.Stack) {
	defer forbid(t, s, "not-the-controllers", ":npu", "request.userInfo.username.startsWith('system:serviceaccount:kube-system:')")()
	enforcedOn(t, s, "system:serviceaccount:kube-system:replicaset-controller", ":npu")
	t.Run("Deployment", func(t *testing.T) {
		held := fillDevices(t, s, 1)
		waitsFor(t, s, waitingOwners["Deployment"], "GPU")
		vacate(t, s, held[2])
		after, _ := runsOn(t, s, "NPU")
		if strings.Contains(reason(&after), "refused") {
			t.Errorf("the reason tells of a refusal: %s", reason(&after))
		}
		clear(t, s, waitingOwners["Deployment"])
		vacate(t, s, held[0])
		vacate(t, s, held[1])
	})
	for _, owner := range []string{"StatefulSet", "Job", "ReplicationController"} {
		t.Run(owner, func(t *testing.T) {
			manifest := waitingOwners[owner]
			held := fillDevices(t, s, 1)
			before := waitsFor(t, s, manifest, "GPU")
			freed := vacate(t, s, held[2])
			after := onePod(t, s, func(p *corev1.Pod) error {
				if p.UID == before.UID {
					return errors.New("it was not recreated")
				}
				return nil
			})
			t.Logf("the next pod was there %s after the device freed", time.Since(freed).Round(time.Millisecond))
			wantKind(t, &after, "GPU")
			if !strings.Contains(reason(&after), "NPU was refused by the API server: ") || !strings.Contains(reason(&after), "images :npu are not for here") {
				t.Errorf("the reason does not say who refused the NPU: %s", reason(&after))
			}
			vacate(t, s, held[0])
			onePod(t, s, func(p *corev1.Pod) error {
				if p.Status.Phase != corev1.PodRunning || kind(p) != "GPU" {
					return errors.New("it does not run on the GPU that freed")
				}
				return nil
			})
			clear(t, s, manifest)
			vacate(t, s, held[1])
		})
	}
}

// refusedFromTheStart: the kind that is best is refused to a controller. Its
// next tries get another, long before the reservation ends.
func refusedFromTheStart(t *testing.T, s *stack.Stack) {
	defer forbid(t, s, "no-gpus", ":gpu", "object.metadata.namespace == 'default'")()
	enforced(t, s, ":gpu", true)
	for _, owner := range []string{"Deployment", "StatefulSet", "DaemonSet", "Job", "Indexed Job", "ReplicationController"} {
		t.Run(owner, func(t *testing.T) {
			manifest := waitingOwners[owner]
			created := time.Now()
			if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			if owner == "DaemonSet" { // one for each node: the one beside the GPUs can have none
				eventually(t, func(ctx context.Context) error {
					pods, err := waits(ctx, s)
					for i := range pods {
						if kind(&pods[i]) == "NPU" && pods[i].Status.Phase == corev1.PodRunning {
							return nil
						}
					}
					return fmt.Errorf("none of %d pods runs on the NPU (%v)", len(pods), err)
				})
			} else {
				runsOn(t, s, "NPU")
			}
			t.Logf("runs on another kind %s after it was created", time.Since(created).Round(time.Millisecond))
			clear(t, s, manifest)
		})
	}
}

// schedulerFindsNoNode: two replicas that must not share a node, and a node with
// two GPUs. The second waits for a GPU that it cannot have, until the scheduler
// is believed.
func schedulerFindsNoNode(t *testing.T, s *stack.Stack) {
	manifest := strings.Replace(waitingOwners["Deployment"], "spec:\n", "spec:\n  replicas: 2\n", 1)
	manifest = strings.Replace(manifest, "      containers:", `      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: waits}}}
      containers:`, 1)
	stick := occupy(t, s, stickResource)
	if said, err := s.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer clear(t, s, manifest)
	count := func(ctx context.Context) (kinds map[string]int, pods []corev1.Pod, err error) {
		kinds = map[string]int{}
		pods, err = waits(ctx, s)
		for i := range pods {
			if pods[i].Status.Phase == corev1.PodRunning {
				kinds[kind(&pods[i])]++
			} else {
				kinds["waits for "+kind(&pods[i])]++
			}
		}
		return kinds, pods, err
	}
	// The stick is taken too: it is believed all the same, and waits where it can
	// run.
	eventually(t, func(ctx context.Context) error {
		kinds, pods, err := count(ctx)
		if err == nil && (len(pods) != 2 || kinds["GPU"] != 1 || kinds["waits for NPU"] != 1) {
			err = fmt.Errorf("there are %v, want one on the GPU and one that waits for the NPU", kinds)
		}
		return err
	})
	_, pods, err := count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods {
		if kind(&pods[i]) == "NPU" && !strings.Contains(reason(&pods[i]), "no GPU (the scheduler finds no node for it there: 0/2 nodes are available") {
			t.Errorf("the reason does not have the scheduler's words: %s", reason(&pods[i]))
		}
	}
	vacate(t, s, stick)
	eventually(t, func(ctx context.Context) error {
		kinds, pods, err := count(ctx)
		if err == nil && (len(pods) != 2 || kinds["GPU"] != 1 || kinds["NPU"] != 1) {
			err = fmt.Errorf("there are %v, want one on each of GPU and NPU", kinds)
		}
		return err
	})
}

// passedOver: pods that are not ours wait for both GPUs, with a volume that
// never comes. The GPUs are not kept for them for ever.
func passedOver(t *testing.T, s *stack.Stack) {
	for i := range 2 {
		notebook := plainPod(fmt.Sprint("notebook-", i), withLimit(gpuResource, "1"), func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "home", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "home"},
			}}}
		})
		defer vacate(t, s, create(t, s, notebook))
	}
	camera := anyPod("camera", "face-recognition", "any")
	pods := s.Client().CoreV1().Pods(camera.Namespace)
	gets := func(want string) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			p, err := pods.Create(ctx, camera.DeepCopy(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err == nil && kind(p) != want {
				err = fmt.Errorf("the camera would get %s, want %s: %s", kind(p), want, reason(p))
			}
			return err
		})
	}
	gets("NPU")
	gets("GPU")
	got := running(t, s, create(t, s, camera))
	wantKind(t, got, "GPU")
	vacate(t, s, got)
}

// unwanted: a bare pod passes the dry run, is deleted, and is refused on every
// kind then. It is not lost and holds nobody up; who looks after the profile is
// told; and once the API server lets it in, it is there again.
func unwanted(t *testing.T, s *stack.Stack) {
	allow := forbid(t, s, "not-ours", "", "object.metadata.namespace == 'default' && request.dryRun != true && "+
		"request.userInfo.username == 'system:serviceaccount:heteroaccel-system:heteroaccel-webhook'")
	enforcedOn(t, s, "system:serviceaccount:heteroaccel-system:heteroaccel-webhook", "")
	held := fillDevices(t, s, 1)
	bare := waitingOwners["bare pod"]
	before := waitsFor(t, s, bare, "GPU")
	vacate(t, s, held[2])
	eventually(t, func(ctx context.Context) error {
		text, err := stack.Get(ctx, s.URL("extender", "/pods"))
		if err == nil && (!strings.Contains(text, "pod default/waits was deleted to be recreated") || !strings.Contains(text, "are not for here")) {
			err = fmt.Errorf("/pods does not say that it is refused:\n%s", text)
		}
		return err
	})
	namespace(t, s, "elsewhere")
	gpu := held[0]
	other := create(t, s, waitingPod("other", inNamespace("elsewhere")))
	if kind(other) == "GPU" { // the stick is idle, unless it is held for the one that is refused
		vacate(t, s, gpu)
	}
	running(t, s, other)
	eventually(t, func(ctx context.Context) error {
		events, err := s.Client().EventsV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "reason=NotRecreated,regarding.name=face-recognition"})
		if err == nil && (len(events.Items) != 1 || !strings.Contains(events.Items[0].Note, "pod default/waits was deleted to be recreated for NPU")) {
			err = fmt.Errorf("no Event on the profile tells: %v", events.Items)
		}
		return err
	})
	allow()
	// It is tried once in a while, and by whoever decides next at once.
	s.Process("webhook").Kill()
	if err := s.StartWebhook(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := onePod(t, s, func(p *corev1.Pod) error {
		if p.UID == before.UID {
			return errors.New("it was never deleted")
		}
		return nil
	})
	same(t, &before, &after)
	noRecords(t, s)
	eventually(t, func(ctx context.Context) error {
		text, err := stack.Get(ctx, s.URL("extender", "/pods"))
		if err == nil && strings.Contains(text, "was deleted to be recreated") {
			err = fmt.Errorf("/pods says still that it is refused:\n%s", text)
		}
		return err
	})
	clear(t, s, bare)
	for _, p := range held[:2] {
		if p != gpu || kind(other) != "GPU" {
			vacate(t, s, p)
		}
	}
}

// suspended: one switch stops all moves, and lets them go on.
func suspended(t *testing.T, s *stack.Stack) {
	held := fillDevices(t, s, 1)
	kubectl := func(args ...string) {
		t.Helper()
		if said, err := s.Kubectl(t.Context(), append([]string{"-n", stack.Namespace}, args...)...); err != nil {
			t.Fatalf("kubectl %v: %v: %s", args, err, said)
		}
	}
	says := func(want float64) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			v, err := metric(ctx, s, "heteroaccel_webhook_readmission_suspended")
			if err == nil && v != want {
				err = fmt.Errorf("the metric is %v, want %v", v, want)
			}
			return err
		})
	}
	kubectl("create", "configmap", "heteroaccel-readmission", "--from-literal=suspended=true")
	says(1)
	before := waitsFor(t, s, waitingOwners["Deployment"], "GPU")
	defer clear(t, s, waitingOwners["Deployment"])
	vacate(t, s, held[2])
	unmoved(t, s, &before)
	kubectl("delete", "configmap", "heteroaccel-readmission")
	says(0)
	runsOn(t, s, "NPU")
	vacate(t, s, held[0])
	vacate(t, s, held[1])
}

// unmoved waits until another pod in the same place would have been recreated
// long ago, and checks that this one was not.
func unmoved(t *testing.T, s *stack.Stack, p *corev1.Pod) {
	t.Helper()
	roundsRead(t, s, 8)
	onePod(t, s, func(now *corev1.Pod) error {
		if now.UID != p.UID {
			return errors.New("it was recreated")
		}
		return nil
	})
}

// optedOut: a pod that says so is never recreated.
func optedOut(t *testing.T, s *stack.Stack) {
	held := fillDevices(t, s, 1)
	manifest := strings.Replace(waitingOwners["Deployment"], `accelerator: "gpu,npu"`, `accelerator: "gpu,npu", heteroaccel.io/readmission: "false"`, 1)
	before := waitsFor(t, s, manifest, "GPU")
	vacate(t, s, held[2])
	unmoved(t, s, &before)
	clear(t, s, manifest)
	vacate(t, s, held[0])
	vacate(t, s, held[1])
}

// onDelete: a controller that takes a deletion for the sign to update is left
// alone, unless its pods say that they may be recreated.
func onDelete(t *testing.T, s *stack.Stack) {
	for _, owner := range []string{"StatefulSet", "DaemonSet"} {
		for _, opted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s opted in %v", owner, opted), func(t *testing.T) {
				held := fillDevices(t, s, 1)
				manifest := strings.Replace(waitingOwners[owner], "spec:\n", "spec:\n  updateStrategy: {type: OnDelete}\n", 1)
				// On the node with the stick alone a DaemonSet's pod finds one.
				manifest = strings.Replace(manifest, `"gpu,npu"`, `"gpu,cpu"`, 1)
				manifest = strings.Replace(manifest, "      containers:", "      nodeSelector: {kubernetes.io/hostname: node-000}\n      containers:", 1)
				if opted {
					manifest = strings.Replace(manifest, `accelerator: "gpu,cpu"`, `accelerator: "gpu,cpu", heteroaccel.io/readmission: "true"`, 1)
				}
				cores := create(t, s, plainPod("cores", withLimit("cpu", "7500m"), onNodes("kubernetes.io/hostname", "node-000")))
				running(t, s, cores)
				before := waitsFor(t, s, manifest, "GPU")
				vacate(t, s, cores)
				if opted {
					runsOn(t, s, "CPU")
				} else {
					unmoved(t, s, &before)
				}
				clear(t, s, manifest)
				for _, p := range held {
					vacate(t, s, p)
				}
			})
		}
	}
}
