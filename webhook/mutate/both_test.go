package mutate

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// boundEarly are the golden files whose pods cannot be bound late, and a part of why.
var boundEarly = map[string]string{
	"key-with-vendor":     "in a form that $(HETEROACCEL_DEVICE) cannot stand for",
	"pod-resources-cpu":   "resources for all its containers together",
	"pod-resources-limit": "resources for all its containers together",
	"pod-resources-npu":   "resources for all its containers together",
}

// TestBothBindings: of every golden file a pod that is bound late gets the same container,
// image, commands, variables and warnings as one that is bound early, or the same refusal,
// once its annotation stands where the device does.
func TestBothBindings(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs := strings.Split(string(content), "\n---\n")
		var a ask
		if err := yaml.UnmarshalStrict([]byte(docs[0]), &a); err != nil {
			t.Fatal(err)
		}
		early := readProfile(t, cmp.Or(a.Profile, "profile"))
		if early.Binding == profile.Late {
			continue
		}
		t.Run(name, func(t *testing.T) {
			// Of one variant: what the others have would be there too.
			alone := func(spec *v1alpha1.InferenceProfileSpec) {
				spec.Variants = slices.DeleteFunc(spec.Variants, func(v v1alpha1.Variant) bool { return !strings.EqualFold(v.Accelerator, string(a.Variant)) })
			}
			early = readProfile(t, cmp.Or(a.Profile, "profile"), alone)
			late := readProfile(t, cmp.Or(a.Profile, "profile"), alone, func(spec *v1alpha1.InferenceProfileSpec) {
				spec.Binding, spec.Variants[0].DeviceClassName = string(profile.Late), "devices.example.com"
			})
			if late.NotLate != nil {
				t.Fatal(late.NotLate)
			}
			if a.DeviceFlags != nil {
				early.DeviceFlags, late.DeviceFlags = a.DeviceFlags, a.DeviceFlags
			}
			raw := templateOf(t, strings.TrimSuffix(docs[1], "\n")+"\n")
			wantRaw, wantWarnings, wantErr := reviewed(raw, early, a.Variant)
			if why := fitsLate(t, raw, late); why != nil && wantErr == nil {
				if part, ok := boundEarly[name]; !ok || !strings.Contains(why.Error(), part) {
					t.Errorf("it is bound early: %v", why)
				}
				return
			}
			if part, ok := boundEarly[name]; ok {
				t.Fatalf("it can be bound late, although %q", part)
			}
			gotRaw, gotWarnings, gotErr := reviewed(raw, late, a.Variant)
			if wantErr != nil || gotErr != nil {
				if wantErr == nil || gotErr == nil || wantErr.Error() != gotErr.Error() {
					t.Errorf("bound late: %v\nbound early: %v", gotErr, wantErr)
				}
				return
			}
			if diff := gocmp.Diff(runs(decode(t, wantRaw)), runs(decode(t, gotRaw))); diff != "" {
				t.Errorf("what runs (-early +late):\n%s", diff)
			}
			if diff := gocmp.Diff(wantWarnings, gotWarnings); diff != "" {
				t.Errorf("warnings (-early +late):\n%s", diff)
			}
		})
	}
}

// fitsLate is FitsLate of a pod's container.
func fitsLate(t *testing.T, raw []byte, p *profile.Profile) error {
	t.Helper()
	pod := decode(t, raw)
	req, _, err := accel.ParseRequest(pod.Metadata.Annotations)
	if err != nil {
		return err
	}
	undone, _ := Undo(pod, testKey, "default")
	target, err := FindTarget(undone, req, p, knownResource)
	if err != nil {
		return err
	}
	return FitsLate(undone, target, p)
}

// runs is what each container of a pod runs: its image, and its words and variables with
// the device in place of the variable that has it, quoted for a shell or not.
func runs(pod *Pod) map[string][]string {
	device := pod.Metadata.Annotations[accel.DeviceAnnotation]
	out := map[string][]string{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		var env []string
		for _, e := range c.Env {
			if e.Name == accel.DeviceEnv && e.ValueFrom == nil {
				device = e.Value
			}
		}
		const variable = "$(" + accel.DeviceEnv + ")"
		expanded := strings.NewReplacer("'"+variable+"'", device, variable, device, "'"+device+"'", device)
		for _, e := range c.Env {
			value := expanded.Replace(e.Value)
			switch {
			case e.Name == accel.DeviceEnv:
				value = device
			case e.ValueFrom != nil:
				value = e.ValueFrom.String()
			}
			env = append(env, e.Name+"="+value)
		}
		slices.Sort(env) // a variable stands before those that use it
		words := []string{"image " + c.Image}
		for _, w := range slices.Concat(c.Command, []string{"args"}, c.Args) {
			words = append(words, expanded.Replace(w))
		}
		out[c.Name] = append(words, env...)
	}
	return out
}
