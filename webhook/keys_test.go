package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/record"
)

// ringOf is a Secret whose keys are called after their first byte.
type ringOf struct {
	*record.Keys
	names map[string]string
	err   error
}

func newRing(seals byte, others ...byte) *ringOf {
	r := &ringOf{names: map[string]string{}}
	var secrets [][]byte
	for _, b := range append([]byte{seals}, others...) {
		secret := bytes.Repeat([]byte{b}, 32)
		secrets = append(secrets, secret)
		r.names[record.ID(secret)] = "key-" + string(b)
	}
	r.Keys = record.NewKeys(secrets[0], secrets[1:]...)
	return r
}

func (r *ringOf) Current() *record.Keys { return r.Keys }
func (r *ringOf) Err() error            { return r.err }
func (r *ringOf) Name(id string) string { return r.names[id] }
func (r *ringOf) Names() (names []string) {
	for _, name := range r.names {
		names = append(names, name)
	}
	return names
}

// TestSealedPods: an operator sees which key pods still need, and a pod whose key is
// lost is told so once, by the replica that decides.
func TestSealedPods(t *testing.T) {
	ring := newRing('2', '1')
	leads := errors.New("another decides")
	recorder := events.NewFakeRecorder(10)
	s := newSealedPods(ring, func() error { return leads }, recorder)
	see := func(name string, key byte, change ...func(*corev1.Pod)) {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Annotations: map[string]string{
			accel.InferenceAnnotation:   "faces",
			accel.ReservationAnnotation: "r",
			accel.OriginalAnnotation:    record.Seal(`{"inference":"faces","kind":"GPU"}`, newRing(key).Keys, "shop", "r"),
		}}}
		for _, c := range change {
			c(pod)
		}
		e := &kube.PodEvent{Pod: pod}
		e.Record = inventory.PodOf(pod, ring.Keys)
		s.set(e)
	}
	want := func(when, text string) {
		t.Helper()
		if err := testutil.CollectAndCompare(s, strings.NewReader(text), "heteroaccel_webhook_keys_readable", "heteroaccel_webhook_key_pods", "heteroaccel_webhook_key_lost_pods", "heteroaccel_webhook_key_seals"); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	told := func() (all []string) {
		for {
			select {
			case e := <-recorder.Events:
				all = append(all, e)
			default:
				return all
			}
		}
	}
	bound := func(p *corev1.Pod) { p.Spec.NodeName = "n" }
	ended := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	unasked := func(p *corev1.Pod) { delete(p.Annotations, accel.InferenceAnnotation) }
	see("waits", '1')
	see("runs", '1', bound)
	see("new", '2')
	see("lost", '9')
	see("lost-runs", '9', bound)
	see("ended", '1', ended)
	see("nobody's", '9', unasked)
	want("two keys", head+`
heteroaccel_webhook_key_lost_pods 2
`+podsHead+`
heteroaccel_webhook_key_pods{key="key-1"} 2
heteroaccel_webhook_key_pods{key="key-2"} 1
`+sealsHead+`
heteroaccel_webhook_key_seals{key="key-2"} 1
`+readableHead+`
heteroaccel_webhook_keys_readable 1
`)
	if all := told(); len(all) > 0 {
		t.Errorf("a replica that does not decide told %v", all)
	}
	leads = nil
	for range 3 {
		see("lost", '9')
		see("lost-runs", '9', bound)
		see("nobody's", '9', unasked)
	}
	id := newRing('9').Sealing()
	sentence := "Warning KeyLost its record was sealed with key " + id + ", which Secret heteroaccel-webhook-key no longer has: it keeps the kind that it waits for, and is not recreated for another. Restore the key from a backup of the Secret, or delete the pod and create it anew"
	if diff := cmp.Diff([]string{sentence}, told()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	ring.err = errors.New("garbage")
	for _, name := range []string{"waits", "runs", "lost", "lost-runs", "ended"} {
		s.remove(types.NamespacedName{Namespace: "shop", Name: name})
	}
	want("the Secret is garbage, and pods are gone", head+`
heteroaccel_webhook_key_lost_pods 0
`+podsHead+`
heteroaccel_webhook_key_pods{key="key-1"} 0
heteroaccel_webhook_key_pods{key="key-2"} 1
`+sealsHead+`
heteroaccel_webhook_key_seals{key="key-2"} 1
`+readableHead+`
heteroaccel_webhook_keys_readable 0
`)
}

const (
	head = `# HELP heteroaccel_webhook_key_lost_pods Pods that have not ended and whose record was sealed with a key that the Secret does not have.
# TYPE heteroaccel_webhook_key_lost_pods gauge`
	podsHead = `# HELP heteroaccel_webhook_key_pods Pods that have not ended, by the key in the Secret that sealed their record.
# TYPE heteroaccel_webhook_key_pods gauge`
	sealsHead = `# HELP heteroaccel_webhook_key_seals Always 1: the key in the Secret that seals records now.
# TYPE heteroaccel_webhook_key_seals gauge`
	readableHead = `# HELP heteroaccel_webhook_keys_readable 1 if the Secret with the keys that seal records was read last time and has only keys, 0 if not: those that were known before count meanwhile.
# TYPE heteroaccel_webhook_keys_readable gauge`
)

// TestLearnedCodes: the codes of a namespace follow the keys, the one in use first.
func TestLearnedCodes(t *testing.T) {
	before := learnedCodes(newRing('1').Keys, "faces", "shop")
	after := learnedCodes(newRing('2', '1').Keys, "faces", "shop")
	if len(before) != 1 || len(after) != 2 || after[1] != before[0] || after[0] == after[1] || len(after[0]) != codeLength {
		t.Errorf("before %q, after %q", before, after)
	}
}
