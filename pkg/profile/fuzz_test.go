package profile_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// FuzzNew: a profile, of an API server that checks nothing, is refused with a
// sentence, or all of it can be used: the kinds have one variant each, with devices
// and a time to expect, and the same resource makes the same profile.
func FuzzNew(f *testing.F) {
	addProfiles(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		in := &v1alpha1.InferenceProfile{}
		if json.Unmarshal(data, in) != nil {
			return
		}
		p, err := profile.New(in)
		if err != nil {
			if m := err.Error(); !utf8.ValidString(m) || len(m) > 6*len(data)+1000 {
				t.Fatalf("a message of %d bytes about a profile of %d: %q", len(m), len(data), m)
			}
			return
		}
		for i := range p.Variants {
			v := &p.Variants[i]
			if k, err := accel.ParseKind(string(v.Kind)); err != nil || k != v.Kind || p.Variant(k) != v {
				t.Errorf("variant %d is for %q, %v", i, v.Kind, err)
			}
			if v.Estimate <= 0 || v.Expected < 0 || v.Device == "" {
				t.Errorf("%s: device %q, expected %v, estimate %v", v.Kind, v.Device, v.Expected, v.Estimate)
			}
			if (v.Kind == accel.CPU) != (len(v.Devices) == 0) {
				t.Errorf("%s has devices %v", v.Kind, v.Devices)
			}
			for name, amount := range v.Devices {
				if amount.Value() < 1 || !accel.IsDeviceResource(name) {
					t.Errorf("%s has %s of %s", v.Kind, amount.String(), name)
				}
			}
		}
		written, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		back := &v1alpha1.InferenceProfile{}
		if err := json.Unmarshal(written, back); err != nil {
			t.Fatal(err)
		}
		again, err := profile.New(back)
		if err != nil {
			t.Fatalf("written and read again: %v", err)
		}
		for i := range p.Variants {
			a, b := p.Variants[i], again.Variants[i]
			a.Spec, b.Spec, a.Devices, b.Devices = nil, nil, nil, nil // amounts remember how they were written
			if !reflect.DeepEqual(a, b) {
				t.Errorf("written and read again (-first +second):\n%s", cmp.Diff(a, b))
			}
		}
	})
}

// FuzzSchema: what an API server with the CRD accepts can be decoded and used. A
// single profile that could not be decoded would hide all others from the webhook.
func FuzzSchema(f *testing.F) {
	addProfiles(f)
	f.Add([]byte(`{"spec":{"idleTimeout":"","variants":[{"accelerator":"cpu","image":"a","limits":{"cpu":"1e9"},"serviceTime":"0s"}]}}`))
	f.Add([]byte(`{"spec":{"idleTimeout":"","variants":[{"accelerator":"cpu","image":"a","limits":{"cpu":"1e9"}}]}}`))
	s := readSchema(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		obj := map[string]any{}
		if utiljson.Unmarshal(data, &obj) != nil {
			return
		}
		// The API server removes what the schema does not name, and only then
		// validates.
		pruning.Prune(obj, s.structural, true)
		if len(s.validate(t, obj)) > 0 {
			return
		}
		kept, err := json.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		in := &v1alpha1.InferenceProfile{}
		if err := json.Unmarshal(kept, in); err != nil {
			t.Fatalf("the schema accepts it, and it cannot be decoded: %v", err)
		}
		if _, err := profile.New(in); err != nil {
			t.Errorf("the schema accepts it, and it cannot be used: %v", err)
		}
	})
}

// addProfiles adds the profiles in testdata as seeds.
func addProfiles(f *testing.F) {
	f.Helper()
	for _, dir := range []string{"accepted", "refused"} {
		for name, data := range testdata(f, dir) {
			data, err := yaml.YAMLToJSON(data)
			if err != nil {
				f.Fatalf("%s: %v", name, err)
			}
			f.Add(data)
		}
	}
}
