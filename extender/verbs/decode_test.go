package verbs

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/bytedance/sonic"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/placement"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/serve/servetest"
)

// The speed rests on it: elsewhere sonic is encoding/json by another name.
func TestDecoderIsCompiled(t *testing.T) {
	if sonic.APIKind != sonic.UseSonicJSON {
		t.Error("sonic falls back to encoding/json on this platform or version of Go")
	}
}

// FuzzDecode holds the decoder against encoding/json on the real types: whatever
// both accept they read alike, nothing panics, and nothing is left over for the
// next request. What encoding/json cannot parse is refused, but for one thing,
// which kube-scheduler never sends: sonic passes over strings that nobody reads
// without looking at their escapes. Such a body must mean what it means with these
// corrected.
func FuzzDecode(f *testing.F) {
	names := []string{"a", "b\"\\\u00e9"}
	whole, err := json.Marshal(extenderv1.ExtenderArgs{Pod: extendertest.Managed("a", "", "GPU", nil, gpu, "1"), NodeNames: &names})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"pod":{},"nodenames":[]}`, `{"Pod":{},"NodeNames":[null,"a"]}`, `{"Pod":{},"NodeNames":["\ud800"]}`,
		`{"Pod":{"spec":{"initContainers":[{"restartPolicy":"Always","resources":{"requests":{"cpu":"1"}}}],"overhead":{"cpu":1}}},"NodeNames":["a"]}`,
		`{"Pod":{},"Nodes":{"items":[{"metadata":{"name":"a"}}]}}`, `{"Pod":{},"Nodes":{"items":[]}}`, "{\"Pod\":{},\"NodeNames\":[\"\xff\"]}",
		`{"Pod":{"spec":{"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":7,"preference":{"matchFields":[{"key":"metadata.name","operator":"In","values":["a"]}]}}]}}}},"NodeNames":["a"]}`,
		`{"Pod":{"spec":{"affinity":{"nodeAffinity":null}}},"NodeNames":["a"]}`,
		`{"Pod":{},"Pod":null,"NodeNames":["a"],"NodeNames":null}`, `{"Pod":{},"NodeNames":["\u0000"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := scratches.Get().(*scratch)
		defer s.release()
		got, err := decodeArgs(slices.Clone(body), s)
		if err != nil {
			return
		}
		body, valid := corrected(t, body)
		var want extenderv1.ExtenderArgs
		if json.Unmarshal(body, &want) != nil || want.Pod == nil {
			return
		}
		sameNeeds(t, want.Pod, got.Pod)
		// The affinity is decoded on its own, with its escapes.
		if wanted, have := preferredOf(&want.Pod.Spec), got.Pod.preference(); valid && !reflect.DeepEqual(wanted, have) {
			t.Errorf("preference (-encoding/json +ours):\n%s", cmp.Diff(wanted, have, cmp.Exporter(func(reflect.Type) bool { return true })))
		}
		if want.NodeNames != nil && !slices.Equal(*want.NodeNames, got.NodeNames) {
			t.Errorf("names (-encoding/json +ours):\n%s", cmp.Diff(*want.NodeNames, got.NodeNames))
		}
	})
}

// corrected returns a body that was accepted, with the escapes corrected that
// encoding/json refuses; valid says that there were none.
func corrected(t *testing.T, body []byte) (sound []byte, valid bool) {
	t.Helper()
	if json.Valid(body) {
		return body, true
	}
	if sound = servetest.CorrectEscapes(body); !json.Valid(sound) {
		t.Fatalf("accepted what is not JSON: %q", body)
	}
	return sound, false
}

// sameNeeds compares what is read of a pod.
func sameNeeds(t *testing.T, want *corev1.Pod, got *podArgs) {
	t.Helper()
	type read struct {
		Name, Namespace, UID string
		Needs                any
	}
	wanted := read{want.Name, want.Namespace, string(want.UID), placement.NeedsOf(want)}
	have := read{got.Metadata.Name, got.Metadata.Namespace, got.Metadata.UID, placement.NeedsOf(got.pod())}
	if !reflect.DeepEqual(wanted, have) {
		t.Errorf("pod (-encoding/json +ours):\n%s", cmp.Diff(wanted, have))
	}
}

// preferredOf is what a pod prefers.
func preferredOf(spec *corev1.PodSpec) *inventory.Preference {
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		return nil
	}
	return inventory.PreferenceOf(spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
}

// FuzzDecodePreempt does the same for what comes with a preemption.
func FuzzDecodePreempt(f *testing.F) {
	pod := extendertest.Managed("a", "", "GPU", nil, gpu, "1")
	for _, args := range []extenderv1.ExtenderPreemptionArgs{
		{Pod: pod, NodeNameToMetaVictims: map[string]*extenderv1.MetaVictims{"a": victims(3, "x", "b\"\\\u00e9"), "n": nil}},
		{Pod: pod, NodeNameToVictims: map[string]*extenderv1.Victims{"a": {Pods: []*corev1.Pod{pod, nil}, NumPDBViolations: 1}}},
	} {
		whole, err := json.Marshal(args)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(whole)
	}
	for _, seed := range []string{
		``, `{}`, `null`, `{"pod":{},"nodenametometavictims":{}}`, `{"Pod":{},"NodeNameToMetaVictims":{"a":{"Pods":[null,{"UID":null}]}}}`,
		`{"Pod":{},"NodeNameToVictims":{"a":{"Pods":null}}}`, `{"Pod":{},"NodeNameToMetaVictims":{"\ud800":{}}}`, "{\"Pod\":{},\"NodeNameToMetaVictims\":{\"\xff\":{}}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodePreemptArgs(slices.Clone(body), nil)
		if err != nil {
			return
		}
		body, _ = corrected(t, body)
		var want extenderv1.ExtenderPreemptionArgs
		if json.Unmarshal(body, &want) != nil || want.Pod == nil {
			return
		}
		sameNeeds(t, want.Pod, got.Pod)
		for node, v := range got.NodeNameToMetaVictims {
			var uids []string
			for _, p := range v.Pods {
				uids = append(uids, p.UID)
			}
			var wanted []string
			if m := want.NodeNameToMetaVictims[node]; m != nil {
				for _, p := range m.Pods {
					if p != nil {
						wanted = append(wanted, p.UID)
					}
				}
			} else if m := want.NodeNameToVictims[node]; m != nil && want.NodeNameToMetaVictims == nil {
				for _, p := range m.Pods {
					if p != nil {
						wanted = append(wanted, string(p.UID))
					}
				}
			}
			if !slices.Equal(wanted, uids) {
				t.Errorf("victims of %q (-encoding/json +ours):\n%s", node, cmp.Diff(wanted, uids))
			}
		}
	})
}

// FuzzAppendString holds the answer's strings against encoding/json.
func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "node-1", `"`, `\`, "é", "\x00\x1f\x7f", "\u2028", "\xff", "<&>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(quoted, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil || got != want {
			t.Errorf("%q came back as %q, %v", s, got, err)
		}
	})
}
