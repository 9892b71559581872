package profile_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// named is a profile with one variant.
func named(t *testing.T, name, kind, device string) *profile.Profile {
	t.Helper()
	in := &v1alpha1.InferenceProfile{}
	in.Name = name
	in.Spec.Variants = []v1alpha1.Variant{{Accelerator: kind, Image: "image", Limits: limits(device, "1")}}
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStore(t *testing.T) {
	s := profile.NewStore()
	if _, ok := s.Get("face"); ok || len(s.Names())+len(s.All())+len(s.ResourceKinds()) > 0 {
		t.Error("a new store is not empty")
	}
	face, text := named(t, "face", "npu", "intel.com/shared"), named(t, "action", "gpu", "intel.com/shared")
	s.Set(face)
	s.Set(text)
	s.Set(named(t, "text", "cpu", "cpu"))

	if p, ok := s.Get("face"); !ok || p != face {
		t.Errorf("Get(face) = %v, %v", p, ok)
	}
	if diff := cmp.Diff([]string{"action", "face", "text"}, s.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if all := s.All(); len(all) != 3 || all[0] != text || all[1] != face {
		t.Errorf("All() = %v, want them by name", all)
	}
	want := map[corev1.ResourceName][]accel.Kind{"intel.com/shared": {"GPU", "NPU"}}
	if diff := cmp.Diff(want, s.ResourceKinds()); diff != "" {
		t.Errorf("resource kinds (-want +got):\n%s", diff)
	}

	before := s.ResourceKinds()
	s.Delete("face")
	s.Delete("face")
	if _, ok := s.Get("face"); ok {
		t.Error("face is still there")
	}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Errorf("a version changed under its reader (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[corev1.ResourceName][]accel.Kind{"intel.com/shared": {"GPU"}}, s.ResourceKinds()); diff != "" {
		t.Errorf("resource kinds (-want +got):\n%s", diff)
	}
}

// TestStoreIsConcurrent is for the race detector; no write may be lost.
func TestStoreIsConcurrent(t *testing.T) {
	const writers, each = 4, 50
	s := profile.NewStore()
	var profiles [writers][each]*profile.Profile
	for w := range writers {
		for i := range each {
			profiles[w][i] = named(t, fmt.Sprintf("p-%d-%d", w, i), "gpu", "example.com/gpu")
		}
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for _, p := range profiles[w] {
				s.Set(p)
			}
		})
		wg.Go(func() {
			for range each {
				for _, name := range s.Names() {
					if _, ok := s.Get(name); !ok {
						t.Errorf("%s is listed and cannot be found", name)
					}
				}
				_ = s.ResourceKinds()["example.com/gpu"]
			}
		})
	}
	wg.Wait()
	if got := len(s.Names()); got != writers*each {
		t.Errorf("%d profiles, want %d", got, writers*each)
	}
}

func TestNearest(t *testing.T) {
	s := profile.NewStore()
	s.Set(named(t, "face-recognition", "gpu", "a/b"))
	s.Set(named(t, "text-recognition", "gpu", "a/b"))
	for name, want := range map[string]string{
		"face-recogniton":   "face-recognition",
		"face_recognition":  "face-recognition",
		"test-recognition":  "text-recognition",
		"text-recognitions": "text-recognition",
		"weather":           "",
		"":                  "",
	} {
		if got := s.Nearest(name); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}
