package mutate

import (
	"cmp"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	sealed "heteroaccel.io/pkg/record"
)

var update = flag.Bool("update", false, "rewrite the expected pods in testdata")

var testKey = sealed.NewKeys([]byte("a key for tests, of 32 bytes long"))

// ask is the first document of a golden file; the second is the pod or the
// workload whose template it is, the third the pod that must come out, and the
// fourth the warnings that must come with it: without it there are none.
type ask struct {
	Test string `json:"test"`
	// Variant is the kind that is given.
	Variant accel.Kind `json:"variant"`
	// Profile is the file of the profile, "profile" if it is not said.
	Profile string `json:"profile,omitempty"`
	// DeviceFlags replace the profile's.
	DeviceFlags []string `json:"deviceFlags,omitempty"`
	// Between is a JSON patch that other webhooks make between the first and
	// the second invocation of ours.
	Between json.RawMessage `json:"between,omitempty"`
	// Error is the sentence of a refusal: then there is no third document.
	Error string `json:"error,omitempty"`
}

// TestGolden applies each case through its patch to the pod's JSON, and then
// holds against it what must be true of every mutation.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			docs := strings.Split(string(content), "\n---\n")
			if len(docs) < 2 {
				t.Fatalf("%s has %d documents, want 2 or 3", file, len(docs))
			}
			docs[1] = strings.TrimSuffix(docs[1], "\n") + "\n"
			var a ask
			if err := yaml.UnmarshalStrict([]byte(docs[0]), &a); err != nil {
				t.Fatalf("read what is asked: %v", err)
			}
			raw := templateOf(t, docs[1])
			p := readProfile(t, cmp.Or(a.Profile, "profile"))
			if a.DeviceFlags != nil {
				p.DeviceFlags = a.DeviceFlags
			}

			once, warnings, err := reviewed(raw, p, a.Variant)
			if a.Error != "" {
				if err == nil || err.Error() != a.Error {
					t.Fatalf("error is\n%v, want\n%s", err, a.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			final := once
			if a.Between != nil {
				patched, err := jsonpatch.DecodePatch(a.Between)
				if err != nil {
					t.Fatal(err)
				}
				if final, err = patched.Apply(once); err != nil {
					t.Fatal(err)
				}
			}
			checkInvariants(t, raw, once, final, p, a.Variant)

			got, err := yaml.JSONToYAML(final)
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			if len(warnings) > 0 {
				list, err := yaml.Marshal(map[string][]string{"warnings": warnings})
				if err != nil {
					t.Fatal(err)
				}
				said = string(list)
			}
			if *update {
				out := docs[0] + "\n---\n" + docs[1] + "---\n" + string(got)
				if said != "" {
					out += "---\n" + said
				}
				if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(docs) < 3 {
				t.Fatalf("%s has no expected pod: run with -update", file)
			}
			docs = append(docs, "")
			if diff := gocmp.Diff(strings.TrimSuffix(docs[2], "\n"), strings.TrimSuffix(string(got), "\n")); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
			if diff := gocmp.Diff(docs[3], said); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// checkInvariants holds of once, the result of raw's first review, and final,
// that pod after other webhooks, what must be true of every mutation.
func checkInvariants(t *testing.T, raw, once, final []byte, p *profile.Profile, kind accel.Kind) {
	t.Helper()
	for _, pod := range [][]byte{once, final} {
		again, err := review(pod, p, kind)
		if err != nil {
			t.Fatalf("second review: %v", err)
		}
		if diff := gocmp.Diff(normal(t, pod), normal(t, again)); diff != "" {
			t.Errorf("a second review changes the pod (-first +second):\n%s", diff)
		}
		validate(t, again)
	}
	undone, ok := Undo(decode(t, once), testKey, "default")
	if !ok {
		t.Error("the record does not verify")
	}
	want := decode(t, raw)
	for _, name := range annotations {
		delete(want.Metadata.Annotations, name)
	}
	if diff := gocmp.Diff(encode(t, want), encode(t, undone)); diff != "" {
		t.Errorf("undone (-original +undone):\n%s", diff)
	}
	// From every kind to every other and back.
	for _, v := range p.Variants {
		other, err := review(final, p, v.Kind)
		if err != nil {
			continue // the user's pod has something against this variant
		}
		validate(t, other)
		back, err := review(other, p, kind)
		if err != nil {
			t.Fatalf("back from %s: %v", v.Kind, err)
		}
		if diff := gocmp.Diff(normal(t, final), normal(t, back)); diff != "" {
			t.Errorf("by way of %s (-direct +detour):\n%s", v.Kind, diff)
		}
	}
}
