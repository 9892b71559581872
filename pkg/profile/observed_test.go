package profile_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// bothHaveNodes is a cluster where both variants can run.
func bothHaveNodes() profile.Observed {
	return profile.Observed{Nodes: map[accel.Kind]int{"GPU": 2, "CPU": 3}, Images: map[string]profile.Image{}}
}

// TestUsable: what is observed decides whether a profile is usable, and the status says
// it in the columns of kubectl.
func TestUsable(t *testing.T) {
	pulled, failed := profile.Image{Pulled: noon}, profile.Image{Failed: noon, Error: `Back-off pulling image "face:gpu": not found`}
	tests := map[string]struct {
		nodes                          map[accel.Kind]int
		images                         map[string]profile.Image
		reason, message, where, became string
	}{
		"nodes, and nothing ran yet": {map[accel.Kind]int{"GPU": 2, "CPU": 3}, nil, "Valid", "pods can request it", "GPU:2,CPU:3", "GPU:-,CPU:-"},
		"one kind has nodes":         {map[accel.Kind]int{"CPU": 3}, nil, "Valid", "pods can request it", "GPU:0,CPU:3", "GPU:-,CPU:-"},
		"no node": {nil, nil, "NoNode",
			"no node has what a variant takes, which is gpu.intel.com/i915 (gpu) or 500m cpu (CPU): pods that request it wait until one comes. Install the device plugins, or change the profile",
			"GPU:0,CPU:0", "GPU:-,CPU:-"},
		"one image fails": {map[accel.Kind]int{"GPU": 2, "CPU": 3}, map[string]profile.Image{"face:gpu": failed}, "Valid", "pods can request it", "GPU:2,CPU:3", "GPU:failed,CPU:-"},
		"the only image that a node could run fails": {map[accel.Kind]int{"GPU": 2}, map[string]profile.Image{"face:gpu": failed, "face:cpu": pulled}, "NoImage",
			`no image could be pulled of a variant that a node could run: correct it here, or in its registry. GPU: Back-off pulling image "face:gpu": not found`,
			"GPU:2,CPU:0", "GPU:failed,CPU:pulled"},
		"it fails now and was pulled before": {map[accel.Kind]int{"GPU": 2}, map[string]profile.Image{"face:gpu": {Pulled: noon.Add(-time.Hour), Failed: noon, Error: "x"}}, "Valid", "pods can request it", "GPU:2,CPU:0", "GPU:failed,CPU:-"},
		"it failed and was pulled since":     {map[accel.Kind]int{"GPU": 2}, map[string]profile.Image{"face:gpu": {Failed: noon.Add(-time.Hour), Pulled: noon, Error: "x"}}, "Valid", "pods can request it", "GPU:2,CPU:0", "GPU:pulled,CPU:-"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := write(t, gpuAndCPU(), profile.Observed{Nodes: tt.nodes, Images: tt.images})
			c := meta.FindStatusCondition(got.Status.Conditions, "Usable")
			if c == nil || c.Reason != tt.reason || c.Message != tt.message || (c.Status == metav1.ConditionTrue) != (tt.reason == "Valid") {
				t.Errorf("got %+v", c)
			}
			if got.Status.Nodes != tt.where || got.Status.Images != tt.became {
				t.Errorf("nodes %s, images %s, want %s and %s", got.Status.Nodes, got.Status.Images, tt.where, tt.became)
			}
			for _, v := range got.Status.Variants {
				if (v.ImageError == "") != !strings.Contains(tt.became, v.Accelerator+":failed") {
					t.Errorf("%s has the error %q", v.Accelerator, v.ImageError)
				}
			}
		})
	}
}

// write has the status of a profile written, and returns it as it was sent, nil for none.
func write(t *testing.T, in *v1alpha1.InferenceProfile, o profile.Observed) *v1alpha1.InferenceProfile {
	t.Helper()
	server := startAPIServer(t)
	if err := server.client(t).WriteStatus(t.Context(), in, o); err != nil {
		t.Fatal(err)
	}
	if len(server.updates) == 0 {
		return nil
	}
	out := &v1alpha1.InferenceProfile{}
	if err := json.Unmarshal([]byte(server.updates[0]), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestImageWrites: a status is not written for each container that has an image, but when
// what became of it changes, and every ten minutes; another image begins anew.
func TestImageWrites(t *testing.T) {
	o := bothHaveNodes()
	see := func(i profile.Image) profile.Observed { o.Images["face:gpu"] = i; return o }
	s := write(t, gpuAndCPU(), see(profile.Image{Pulled: noon}))
	minute := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }
	for _, step := range []struct {
		name   string
		seen   profile.Image
		writes bool
		became string
	}{
		{"the same", profile.Image{Pulled: noon}, false, "pulled"},
		{"nothing seen, as after a restart", profile.Image{}, false, "pulled"},
		{"pulled a minute later", profile.Image{Pulled: minute(1)}, false, "pulled"},
		{"failed", profile.Image{Pulled: minute(1), Failed: minute(2), Error: "no such image"}, true, "failed"},
		{"failed again", profile.Image{Pulled: minute(1), Failed: minute(3), Error: "back-off"}, false, "failed"},
		{"pulled again", profile.Image{Pulled: minute(4), Failed: minute(3)}, true, "pulled"},
		{"much later", profile.Image{Pulled: minute(15), Failed: minute(3)}, true, "pulled"},
	} {
		got := write(t, s, see(step.seen))
		if (got != nil) != step.writes {
			t.Fatalf("%s: written %v, want %v", step.name, got != nil, step.writes)
		}
		if got != nil {
			s = got
		}
		if want := "GPU:" + step.became + ",CPU:-"; s.Status.Images != want {
			t.Fatalf("%s: images are %s, want %s", step.name, s.Status.Images, want)
		}
	}
	s.Spec.Variants[0].Image = "face:gpu-2"
	if got := write(t, s, o); got.Status.Images != "GPU:-,CPU:-" {
		t.Errorf("of another image there is %s", got.Status.Images)
	}
	o.Nodes["GPU"] = 7
	want := []v1alpha1.VariantStatus{
		{Accelerator: "GPU", Nodes: 7, Image: "face:gpu-2"},
		{Accelerator: "CPU", Nodes: 3, Image: "face:cpu"},
	}
	if diff := cmp.Diff(want, write(t, s, o).Status.Variants); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
