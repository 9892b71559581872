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

	"heteroaccel.io/e2e/stack"
)

// TestJudges: the API server's admission and the scheduler have the last word.
// What they are against is found out before anything is deleted, or made up for
// at once.
func TestJudges(t *testing.T) {
	runShared(t, borrow(t, twoShapes), []shared{
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
			runsOn(t, s, "GPU")
			deleteOwner(t, s, manifest)
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
		deleteOwner(t, s, waitingOwners["Deployment"])
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
			runsOn(t, s, "GPU")
			deleteOwner(t, s, manifest)
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
			deleteOwner(t, s, manifest)
		})
	}
}

// unwanted: a bare pod passes the dry run, is deleted, and is refused on every
// kind then. It is not lost and holds nobody up; who looks after the profile is
// told; and once the API server lets it in, it is there again.
func unwanted(t *testing.T, s *stack.Stack) {
	allow := forbid(t, s, "not-ours", "", "object.metadata.namespace == 'default' && request.dryRun != true && "+
		"request.userInfo.username == 'system:serviceaccount:heteroaccel-system:heteroaccel-webhook'")
	enforcedOn(t, s, "system:serviceaccount:heteroaccel-system:heteroaccel-webhook", "", func(p *corev1.Pod) { p.Annotations = admittedAnnotations })
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
	deleteOwner(t, s, bare)
	for _, p := range held[:2] {
		if p != gpu || kind(other) != "GPU" {
			vacate(t, s, p)
		}
	}
}
