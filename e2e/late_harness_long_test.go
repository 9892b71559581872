//go:build long

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// lateCluster starts an installation whose pods are bound late, with the devices of
// testdata/late-profile.yaml. The profile's NPU takes half a core, so that a pod which is
// moved to it is resized. The webhook has no right to recreate a pod.
func lateCluster(t *testing.T, machines []*machine.Machine, webhook ...string) *stack.Stack {
	t.Helper()
	var out bytes.Buffer
	s, err := launch(t.Context(), stack.Config{
		Out: &out, Machines: machines, Late: true, NoReadmission: true, Webhook: append([]string{"--binding=auto", "--readmission=false"}, webhook...),
	})
	if err != nil {
		t.Fatalf("start the cluster: %v\n%s", err, out.String())
	}
	t.Cleanup(func() { noRaces(t, s); s.Stop() })
	lateProfile(t, s, "2s")
	seesDevices(t, s)
	return s
}

// asksNobody checks that kube-scheduler asks no extender.
func asksNobody(t *testing.T, s *stack.Stack) {
	t.Helper()
	file := filepath.Join(s.Dir(), "etc", "scheduler.yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config schedulerv1.KubeSchedulerConfiguration
	if err := yaml.UnmarshalStrict(raw, &config); err != nil {
		t.Fatal(err)
	}
	if len(config.Profiles) > 0 || len(config.Extenders) > 0 {
		t.Fatalf("kube-scheduler is configured with profiles or extenders:\n%s", raw)
	}
}

// lateProfile applies the profile and its devices, with how long a run takes on an NPU.
func lateProfile(t *testing.T, s *stack.Stack, onNPU string) {
	t.Helper()
	profile, err := os.ReadFile(filepath.Join("testdata", "late-profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	manifest := string(profile)
	for was, is := range map[string]string{"npu.test, limits: {memory": "npu.test, limits: {cpu: 500m, memory", "serviceTime: 2s": "serviceTime: " + onNPU} {
		if strings.Count(manifest, was) != 1 {
			t.Fatalf("the profile has not once %q, as it is looked for here", was)
		}
		manifest = strings.Replace(manifest, was, is, 1)
	}
	if said, err := s.KubectlInput(t.Context(), manifest, "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

// seesDevices waits until the webhook binds pods late.
func seesDevices(t *testing.T, s *stack.Stack) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		p, err := would(ctx, s, latePod("", "any"))
		if err == nil && len(p.Spec.ResourceClaims) == 0 {
			err = errors.New("the pod would be bound early")
		}
		return err
	})
}

// claimOf is the claim of a pod, nil where there is none.
func claimOf(ctx context.Context, s *stack.Stack, p *corev1.Pod) (*resourcev1.ResourceClaim, error) {
	if len(p.Spec.ResourceClaims) != 1 {
		return nil, fmt.Errorf("pod %s has %d claims, want one", p.Name, len(p.Spec.ResourceClaims))
	}
	list, err := s.Client().ResourceV1().ResourceClaims(p.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + *p.Spec.ResourceClaims[0].ResourceClaimName})
	if err != nil || len(list.Items) == 0 {
		return nil, err
	}
	return &list.Items[0], nil
}

// claimNamed is the claim of a name, nil if there is none.
func claimNamed(claims []resourcev1.ResourceClaim, name string) *resourcev1.ResourceClaim {
	if i := slices.IndexFunc(claims, func(c resourcev1.ResourceClaim) bool { return c.Name == name }); i >= 0 {
		return &claims[i]
	}
	return nil
}

// agrees checks that a pod has a claim, and that its image, device and amounts are those
// of the claim's kind and, where it has one, of its device.
func agrees(p *corev1.Pod, c *resourcev1.ResourceClaim) error {
	if c == nil {
		return fmt.Errorf("pod %s has no claim", p.Name)
	}
	request, image := c.Spec.Devices.Requests[0].Name, p.Spec.Containers[0].Image
	told := map[string]string{"gpu": "GPU", "npu": "MYRIAD", "cpu": "CPU"}[request]
	cores := map[string]string{"gpu": "1m", "npu": "500m", "cpu": "1"}[request]
	got := p.Spec.Containers[0].Resources.Requests.Cpu().String()
	if image != "late:"+request || p.Annotations[accel.DeviceAnnotation] != told || kind(p) != strings.ToUpper(request) || got != cores {
		return fmt.Errorf("pod %s has image %s, is told %q, counts as %s and requests %s of cpu; its claim is for %s",
			p.Name, image, p.Annotations[accel.DeviceAnnotation], kind(p), got, request)
	}
	if o := metav1.GetControllerOf(c); o == nil || o.UID != p.UID {
		return fmt.Errorf("the claim of pod %s is controlled by %v", p.Name, o)
	}
	if a := c.Status.Allocation; a != nil && (len(a.Devices.Results) != 1 || a.Devices.Results[0].Driver != request+".test") {
		return fmt.Errorf("the claim of pod %s for %s has %+v", p.Name, request, a.Devices.Results)
	}
	return nil
}

// agreed waits until a pod runs and agrees with its claim, and returns it.
func agreed(t *testing.T, s *stack.Stack, p *corev1.Pod) *corev1.Pod {
	t.Helper()
	ran := running(t, s, p)
	if ran.UID != p.UID {
		t.Errorf("pod %s was recreated", p.Name)
	}
	c, err := claimOf(t.Context(), s, ran)
	if err != nil {
		t.Fatal(err)
	}
	if err := agrees(ran, c); err != nil {
		t.Error(err)
	}
	return ran
}

// waitsWith waits until kube-scheduler has found nothing for a pod, and returns its claim.
func waitsWith(t *testing.T, s *stack.Stack, p *corev1.Pod) (c *resourcev1.ResourceClaim) {
	t.Helper()
	eventually(t, func(ctx context.Context) (err error) {
		found := get(t, s, p)
		if c, err = claimOf(ctx, s, found); err != nil {
			return err
		}
		said := slices.ContainsFunc(found.Status.Conditions, func(x corev1.PodCondition) bool {
			return x.Type == corev1.PodScheduled && x.Status == corev1.ConditionFalse && strings.Contains(x.Message, "cannot allocate")
		})
		if c == nil || !said {
			return fmt.Errorf("claim %v, conditions %v", c, found.Status.Conditions)
		}
		return agrees(found, c)
	})
	return c
}

// notes are the notes of a pod's Events for one of some reasons. One that was repeated
// counts as often.
func notes(ctx context.Context, s *stack.Stack, p *corev1.Pod, reasons ...string) (all []string, err error) {
	list, err := s.Client().EventsV1().Events(p.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "regarding.uid=" + string(p.UID)})
	if err != nil {
		return nil, err
	}
	for _, e := range list.Items {
		if slices.Contains(reasons, e.Reason) {
			all = append(all, slices.Repeat([]string{e.Reason + ": " + e.Note}, times(&e))...)
		}
	}
	return all, nil
}

func times(e *eventsv1.Event) int {
	if e.Series == nil {
		return 1
	}
	return int(e.Series.Count)
}

// refusalReasons are those of the Events about what keeps a pod from a device.
var refusalReasons = []string{"NotClaimed", "NotReadmitted"}

// isTold waits until a pod has an Event with some words.
func isTold(t *testing.T, s *stack.Stack, p *corev1.Pod, words string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		all, err := notes(ctx, s, p, refusalReasons...)
		if err == nil && !slices.ContainsFunc(all, func(n string) bool { return strings.Contains(n, words) }) {
			err = fmt.Errorf("pod %s has no Event with %q: %q", p.Name, words, all)
		}
		return err
	})
}

// toldTimes checks that a pod has so many Events about what keeps it from a device.
func toldTimes(t *testing.T, s *stack.Stack, p *corev1.Pod, want int) {
	t.Helper()
	all, err := notes(t.Context(), s, p, refusalReasons...)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != want {
		t.Errorf("pod %s has %d Events, want %d: %q", p.Name, len(all), want, all)
	}
}

// more waits until a counter of the webhook's has grown by some.
func more(t *testing.T, s *stack.Stack, name string, by float64) (wait func()) {
	t.Helper()
	before, _ := metric(t.Context(), s, name) // absent at first
	return func() {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			now, err := metric(ctx, s, name)
			if err == nil && now < before+by {
				err = fmt.Errorf("%s is %v, was %v", name, now, before)
			}
			return err
		})
	}
}

// free deletes pods.
func free(t *testing.T, s *stack.Stack, pods ...*corev1.Pod) {
	t.Helper()
	now := int64(0)
	for _, p := range pods {
		if err := s.Client().CoreV1().Pods(p.Namespace).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			t.Fatal(err)
		}
	}
}
