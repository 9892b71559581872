package e2e

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// asking is what asks for an accelerator, where it is an annotation of a pod.
var asking = map[string]string{accel.InferenceAnnotation: "face-recognition", accel.AcceleratorAnnotation: "any"}

// written is where somebody has written it.
type written struct{ annotations, labels, podAnnotations, podLabels map[string]string }

// workload is one of a kind without pods.
func (w written) workload(t *testing.T, apiVersion, kind string) string {
	t.Helper()
	type object = map[string]any
	podLabels := map[string]string{"app": "misplaced"}
	maps.Copy(podLabels, w.podLabels)
	pod := object{"restartPolicy": "Always", "containers": []object{{"name": "inference", "image": "mine", "command": []string{"./run", "-d", "GPU"}}}}
	spec := object{"replicas": 0, "selector": object{"matchLabels": object{"app": "misplaced"}}}
	switch kind {
	case "ReplicationController":
		spec["selector"] = object{"app": "misplaced"}
	case "StatefulSet":
		spec["serviceName"] = "misplaced"
	case "DaemonSet":
		delete(spec, "replicas")
		pod["nodeSelector"] = object{"there-is": "no-such-node"}
	case "Job", "CronJob":
		spec = object{"suspend": true}
		pod["restartPolicy"] = "Never"
	}
	spec["template"] = object{"metadata": object{"labels": podLabels, "annotations": w.podAnnotations}, "spec": pod}
	switch kind {
	case "Pod":
		spec = pod
	case "CronJob":
		spec = object{"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": object{"spec": spec}}
	}
	data, err := json.Marshal(object{
		"apiVersion": apiVersion, "kind": kind, "spec": spec,
		"metadata": object{"name": "misplaced-" + strings.ToLower(kind), "annotations": w.annotations, "labels": w.labels},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// misplaced: who writes what asks for an accelerator where it has no effect is warned, and
// what they wrote is created all the same; who writes it where it belongs is not.
func misplaced(t *testing.T, s *stack.Stack) {
	const itself, labels = " itself have no effect: move them to ", "the labels heteroaccel.io/inference and heteroaccel.io/accelerator have no effect: write them as annotations, in "
	for kind, apiVersion := range map[string]string{
		"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1",
		"Job": "batch/v1", "CronJob": "batch/v1", "ReplicationController": "v1", "Pod": "v1",
	} {
		place := "spec.template.metadata.annotations"
		switch kind {
		case "CronJob":
			place = "spec.jobTemplate." + place
		case "Pod":
			place = "metadata.annotations"
		}
		for name, c := range map[string]struct {
			written
			want string // "" for no warning
		}{
			"nothing":            {written{}, ""},
			"its pods":           {written{podAnnotations: asking}, ""},
			"both":               {written{annotations: asking, podAnnotations: asking}, ""},
			"itself":             {written{annotations: asking}, kind + itself + place},
			"one annotation":     {written{annotations: map[string]string{accel.AcceleratorAnnotation: "gpu"}}, kind + itself + place},
			"somebody else's":    {written{annotations: map[string]string{"inference": "yes"}}, ""},
			"its labels":         {written{labels: map[string]string{accel.InferenceAnnotation: "face-recognition"}}, labels + place},
			"labels of its pods": {written{podLabels: asking}, labels + place},
			"labels and asks":    {written{podLabels: asking, podAnnotations: asking}, ""},
		} {
			if kind == "Pod" { // its annotations are where they belong, and it has no template
				switch {
				case name == "itself", name == "one annotation", name == "both":
					continue
				case c.podLabels != nil && c.podAnnotations == nil, c.podAnnotations != nil:
					continue
				}
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				said, err := s.KubectlInput(t.Context(), c.workload(t, apiVersion, kind), "create", "--dry-run=server", "-f", "-")
				if err != nil {
					t.Fatalf("%v: %s", err, said)
				}
				if !strings.Contains(said, "created") || c.want != "" && !strings.Contains(said, c.want) || c.want == "" && strings.Contains(said, "Warning") {
					t.Errorf("want %q in:\n%s", c.want, said)
				}
			})
		}
	}
	// What the controllers make of them warns nobody: it is created, with the annotations.
	deployment := written{annotations: asking}.workload(t, "apps/v1", "Deployment")
	if said, err := s.KubectlInput(t.Context(), deployment, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer kubectl(t, s, "delete", "deployment", "misplaced-deployment", "--cascade=foreground")
	kubectl(t, s, "wait", "--for=create", "replicaset", "-l", "app=misplaced", "--timeout=60s")
	if said := kubectl(t, s, "annotate", "deployment", "misplaced-deployment", "note=x"); !strings.Contains(said, itself) {
		t.Errorf("who changes it is not warned: %s", said)
	}
}
