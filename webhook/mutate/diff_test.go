package mutate

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
)

// TestDiff: the operations themselves, where the goldens show only what they
// lead to.
func TestDiff(t *testing.T) {
	added := &Pod{
		Metadata: Metadata{Annotations: map[string]string{accel.SelectedAnnotation: "GPU", "a/b~c": "d"}},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{SupplementalGroups: []int64{7}},
			NodeSelector:    map[string]string{"a/b~c": "d"},
			Containers:      []corev1.Container{{Env: []corev1.EnvVar{{Name: "A"}}, Image: "i", Resources: corev1.ResourceRequirements{Limits: amountsOf("cpu=1")}}},
		},
	}
	cases := map[string]struct {
		raw   string // the pod as it arrives
		after *Pod
		want  string
	}{
		"nothing": {`{"metadata":{},"spec":{"containers":[{}]}}`, &Pod{Spec: corev1.PodSpec{Containers: make([]corev1.Container, 1)}}, `[]`},
		"parents made": {`{"metadata":{},"spec":{"containers":[{}]}}`, added, `[
			{"op":"add","path":"/metadata/annotations","value":{"a/b~c":"d","heteroaccel.io/selected":"GPU"}},
			{"op":"add","path":"/spec/containers/0/image","value":"i"},
			{"op":"add","path":"/spec/containers/0/env","value":[{"name":"A"}]},
			{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{"cpu":"1"}}},
			{"op":"add","path":"/spec/nodeSelector","value":{"a/b~c":"d"}},
			{"op":"add","path":"/spec/securityContext","value":{"supplementalGroups":[7]}}]`},
		"null parents": {`{"metadata":{"annotations":null},"spec":{"nodeSelector":null,"securityContext":null,"containers":[{"env":null,"resources":null,"image":"i"}]}}`, added, `[
			{"op":"add","path":"/metadata/annotations","value":{"a/b~c":"d","heteroaccel.io/selected":"GPU"}},
			{"op":"add","path":"/spec/containers/0/env","value":[{"name":"A"}]},
			{"op":"add","path":"/spec/containers/0/resources","value":{"limits":{"cpu":"1"}}},
			{"op":"add","path":"/spec/nodeSelector","value":{"a/b~c":"d"}},
			{"op":"add","path":"/spec/securityContext","value":{"supplementalGroups":[7]}}]`},
		"keys escaped, lists appended to": {`{"metadata":{"annotations":{"a/b~c":"d"}},"spec":{"securityContext":{"supplementalGroups":[1]},"nodeSelector":{"x":"y"},
			"containers":[{"image":"old","env":[{"name":"B"}],"resources":{"requests":{"cpu":"1"}}}]}}`,
			&Pod{
				Metadata: added.Metadata,
				Spec: corev1.PodSpec{
					SecurityContext: &corev1.PodSecurityContext{SupplementalGroups: []int64{1, 7}},
					NodeSelector:    map[string]string{"a/b~c": "d", "x": "y"},
					Containers: []corev1.Container{{Image: "i", Env: []corev1.EnvVar{{Name: "B"}, {Name: "A"}},
						Resources: corev1.ResourceRequirements{Limits: amountsOf("cpu=1"), Requests: amountsOf("cpu=1000m")}}},
				},
			}, `[
			{"op":"add","path":"/metadata/annotations/heteroaccel.io~1selected","value":"GPU"},
			{"op":"add","path":"/spec/containers/0/image","value":"i"},
			{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A"}},
			{"op":"add","path":"/spec/containers/0/resources/limits","value":{"cpu":"1"}},
			{"op":"add","path":"/spec/nodeSelector/a~1b~0c","value":"d"},
			{"op":"add","path":"/spec/securityContext/supplementalGroups/-","value":7}]`},
		"empty values are values": {`{"metadata":{"annotations":{"heteroaccel.io/selected":"x"}},"spec":{"containers":[{"args":["a"]}]}}`,
			&Pod{Metadata: Metadata{Annotations: map[string]string{accel.SelectedAnnotation: ""}},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: []string{""}}}}}, `[
			{"op":"replace","path":"/metadata/annotations/heteroaccel.io~1selected","value":""},
			{"op":"replace","path":"/spec/containers/0/args/0","value":""}]`},
		"removals": {`{"metadata":{"annotations":{"heteroaccel.io/selected":"x","y":"z"}},"spec":{"nodeSelector":{"x":"y","z":"y"},"securityContext":{"supplementalGroups":[1,2]},
			"volumes":[{"name":"a"},{"name":"b"},{"name":"c"}],
			"containers":[{"args":["a","b"],"command":["c"],"env":[{"name":"A"},{"name":"B"},{"name":"C"}],"resources":{"limits":{"cpu":"1"},"requests":{"cpu":"1"}}}]}}`,
			&Pod{Metadata: Metadata{Annotations: map[string]string{"y": "z"}},
				Spec: corev1.PodSpec{
					NodeSelector: map[string]string{"x": "n"}, SecurityContext: &corev1.PodSecurityContext{SupplementalGroups: []int64{2}},
					Volumes: []corev1.Volume{{Name: "b"}},
					Containers: []corev1.Container{{Args: []string{"b"}, Env: []corev1.EnvVar{{Name: "A"}, {Name: "C", Value: "c"}, {Name: "B"}},
						Resources: corev1.ResourceRequirements{Limits: amountsOf("cpu=1")}}},
				}}, `[
			{"op":"remove","path":"/metadata/annotations/heteroaccel.io~1selected"},
			{"op":"remove","path":"/spec/containers/0/command"},
			{"op":"replace","path":"/spec/containers/0/args","value":["b"]},
			{"op":"remove","path":"/spec/containers/0/env/1"},
			{"op":"replace","path":"/spec/containers/0/env/1","value":{"name":"C","value":"c"}},
			{"op":"add","path":"/spec/containers/0/env/-","value":{"name":"B"}},
			{"op":"remove","path":"/spec/containers/0/resources/requests"},
			{"op":"remove","path":"/spec/volumes/0"},
			{"op":"remove","path":"/spec/volumes/1"},
			{"op":"replace","path":"/spec/nodeSelector/x","value":"n"},
			{"op":"remove","path":"/spec/nodeSelector/z"},
			{"op":"remove","path":"/spec/securityContext/supplementalGroups/0"}]`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ops, err := json.Marshal(Diff(decode(t, []byte(c.raw)), c.after, Target{}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(normal(t, []byte(c.want)), normal(t, ops)); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
			patch, err := jsonpatch.DecodePatch(ops)
			if err != nil {
				t.Fatal(err)
			}
			patched, err := patch.Apply([]byte(c.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(encode(t, c.after), encode(t, decode(t, patched))); diff != "" {
				t.Errorf("patched (-want +got):\n%s", diff)
			}
		})
	}
}
