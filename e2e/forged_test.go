package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// forged: annotations that the webhook writes are not accepted from users.
func forged(t *testing.T, s *stack.Stack) {
	p := create(t, s, anyPod("forged", "face-recognition", "any", func(p *corev1.Pod) {
		for _, a := range ours {
			p.Annotations[a] = "CPU"
		}
		p.Annotations[accel.OriginalAnnotation] = `AAAA {"container":"inference","image":{"was":"evil","now":"heteroaccel/face-recognition"}}`
	}))
	wantKind(t, p, "GPU")
	if image := p.Spec.Containers[0].Image; image != "heteroaccel/face-recognition:gpu" {
		t.Errorf("the image is %s", image)
	}
	for _, a := range ours[1:] {
		if v := p.Annotations[a]; v == "CPU" || v == "" || strings.Contains(v, "evil") {
			t.Errorf("annotation %s is %q", a, v)
		}
	}
	// What was replaced is what came in, not what the forged record says.
	if v := p.Annotations[accel.OriginalAnnotation]; !strings.Contains(v, `"was":"heteroaccel/face-recognition"`) {
		t.Errorf("the record of what was replaced is %s", v)
	}
}

// copied: a pod made from another one's "kubectl get -o yaml" is a new request,
// in its own namespace and in another.
func copied(t *testing.T, s *stack.Stack) {
	first := running(t, s, create(t, s, anyPod("first", "face-recognition", "any")))
	wantKind(t, first, "GPU")
	var p corev1.Pod
	if err := json.Unmarshal([]byte(kubectl(t, s, "get", "pod", "first", "-o", "json")), &p); err != nil {
		t.Fatal(err)
	}
	// What anybody has to take out first, or the API server refuses it.
	p.Name, p.UID, p.ResourceVersion, p.Spec.NodeName = "second", "", "", ""
	namespace(t, s, "copies")
	var foreign = *p.DeepCopy()
	foreign.Namespace = "copies"

	for _, tc := range []struct {
		copy                     *corev1.Pod
		kind, flag, resourceName string
	}{
		{&p, "NPU", "MYRIAD", "vpu.intel.com/hddl"},
		{&foreign, "FPGA", "HETERO:FPGA,CPU", "fpga.intel.com/arria10.dcp1.2-nlb0"},
	} {
		if said, err := s.KubectlInput(t.Context(), manifest(t, tc.copy), "create", "-f", "-"); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		got := running(t, s, tc.copy)
		wantKind(t, got, tc.kind)
		c := got.Spec.Containers[0]
		if want := "./run -d " + tc.flag + " && sleep 60"; c.Command[2] != want {
			t.Errorf("%s: the command is %q, want %q", tc.kind, c.Command[2], want)
		}
		if diff := cmp.Diff(map[string]int64{tc.resourceName: 1}, devices(got)); diff != "" {
			t.Errorf("%s: devices (-want +got):\n%s", tc.kind, diff)
		}
		if diff := cmp.Diff([]corev1.EnvVar{{Name: accel.DeviceEnv, Value: tc.flag}}, c.Env); diff != "" {
			t.Errorf("%s: environment (-want +got):\n%s", tc.kind, diff)
		}
		for _, a := range ours {
			if got.Annotations[a] == first.Annotations[a] {
				t.Errorf("%s: annotation %s is the other pod's: %s", tc.kind, a, got.Annotations[a])
			}
		}
	}
}

// foreignReservation: a reservation is ended by a pod of its namespace only,
// whatever a pod of another says of itself.
func foreignReservation(t *testing.T, s *stack.Stack) {
	namespace(t, s, "forger")
	client, url := webhookClient(t, s), s.ReviewURL("webhook", "/mutate")
	reserve := func(name string) []byte {
		object := []byte(manifest(t, anyPod(name, "face-recognition", "any")))
		return apply(t, object, reviewOver(t, client, url, "default", object))
	}
	// A pod that comes shows that this is the API server's connection, so what is
	// reserved over it counts until its pod is there.
	earlier := reserve("earlier")
	create(t, s, plainPod("earlier", func(p *corev1.Pod) {
		for _, name := range []string{accel.ReservationAnnotation, accel.OriginalAnnotation} {
			p.Annotations[name] = annotation(t, earlier, name)
		}
	}))
	eventually(t, func(ctx context.Context) error { return reserved(ctx, s, 0) })
	object := reserve("never-created")
	id := annotation(t, object, accel.ReservationAnnotation)
	if err := reserved(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	// Not annotated for us, but otherwise like a pod of ours.
	forge := func(p *corev1.Pod) {
		p.Annotations[accel.ReservationAnnotation] = id
		p.Annotations[accel.OriginalAnnotation] = annotation(t, object, accel.OriginalAnnotation)
	}
	create(t, s, plainPod("forged", inNamespace("forger"), forge))
	// Pods come to the webhook in order: when it has seen this one it has seen
	// the forged one.
	create(t, s, anyPod("after", "face-recognition", "npu"))
	eventually(t, func(ctx context.Context) error { return reserved(ctx, s, 1) })
	if got, err := would(t.Context(), s, anyPod("", "face-recognition", "any")); err != nil || kind(got) != "FPGA" {
		t.Errorf("with the GPU reserved and the NPU given a pod would get %s (%v)", kind(got), err)
	}
	create(t, s, plainPod("own", forge))
	eventually(t, func(ctx context.Context) error { return reserved(ctx, s, 0) })
}

// askedTwice: the API server asks again when another webhook changed the pod,
// and then nothing is left to do; what the other one did stays.
func askedTwice(t *testing.T, s *stack.Stack) {
	object := []byte(manifest(t, anyPod("twice", "face-recognition", "any")))
	first := apply(t, object, review(t, s, "webhook", "default", object))
	if patch := review(t, s, "webhook", "default", first); len(patch) > 0 {
		t.Errorf("the second time the patch is %s, want none", patch)
	}
	injected := apply(t, first, []byte(`[{"op":"add","path":"/spec/containers/0","value":{"name":"mesh","image":"mesh"}}]`))
	if patch := review(t, s, "webhook", "default", injected); len(patch) > 0 {
		t.Errorf("with a container injected the patch is %s, want none", patch)
	}
	reset := apply(t, first, []byte(`[{"op":"replace","path":"/spec/containers/0/image","value":"mirror/face"}]`))
	again := apply(t, reset, review(t, s, "webhook", "default", reset))
	var p corev1.Pod
	if err := json.Unmarshal(again, &p); err != nil {
		t.Fatal(err)
	}
	if want := "heteroaccel/face-recognition:gpu"; p.Spec.Containers[0].Image != want {
		t.Errorf("an image that was reset is %s, want %s", p.Spec.Containers[0].Image, want)
	}
	if got, want := annotation(t, again, accel.ReservationAnnotation), annotation(t, first, accel.ReservationAnnotation); got != want {
		t.Errorf("the reservation is %s, want that of the first time, %s", got, want)
	}
	if err := reserved(t.Context(), s, 1); err != nil {
		t.Error(err)
	}
	// It ends with a pod that carries it.
	create(t, s, plainPod("end", func(p *corev1.Pod) {
		for _, name := range []string{accel.ReservationAnnotation, accel.OriginalAnnotation} {
			p.Annotations[name] = annotation(t, first, name)
		}
	}))
	eventually(t, func(ctx context.Context) error { return reserved(ctx, s, 0) })
}

// apply applies a JSON patch; an empty one changes nothing.
func apply(t *testing.T, object, patch []byte) []byte {
	t.Helper()
	if len(patch) == 0 {
		return slices.Clone(object)
	}
	p, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		t.Fatalf("decode %s: %v", patch, err)
	}
	out, err := p.Apply(object)
	if err != nil {
		t.Fatalf("apply %s to %s: %v", patch, object, err)
	}
	return out
}

func annotation(t *testing.T, object []byte, key string) string {
	t.Helper()
	var p corev1.Pod
	if err := json.Unmarshal(object, &p); err != nil {
		t.Fatal(err)
	}
	return p.Annotations[key]
}
