package chart

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

// fine is the grade of a check that finds nothing.
const fine = 10

// TestScore: what kube-score finds is listed with a reason, and what is listed is found.
func TestScore(t *testing.T) {
	files(t)
	h, l := installed(t)
	data, err := os.ReadFile("../../deploy/helm/kube-score.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var listed map[string]struct {
		Objects []string `json:"objects"`
		Why     string   `json:"why"`
	}
	if err := yaml.UnmarshalStrict(data, &listed); err != nil {
		t.Fatal(err)
	}
	out, err := l.Score(t.Context(), everything(t, h))
	if err != nil {
		t.Fatal(err)
	}
	var objects []struct {
		Meta struct {
			Name string `json:"name"`
		} `json:"object_meta"`
		Checks []struct {
			Check struct {
				ID string `json:"id"`
			} `json:"check"`
			Grade    int  `json:"grade"`
			Skipped  bool `json:"skipped"`
			Comments any  `json:"comments"`
		} `json:"checks"`
	}
	if err := json.Unmarshal(out, &objects); err != nil {
		t.Fatal(err)
	}
	found, checks := map[string][]string{}, 0
	for _, o := range objects {
		for _, c := range o.Checks {
			checks++
			if c.Skipped || c.Grade >= fine {
				continue
			}
			l := listed[c.Check.ID]
			if !slices.Contains(l.Objects, o.Meta.Name) && !slices.Contains(l.Objects, "*") {
				t.Errorf("%s: %s: %v", o.Meta.Name, c.Check.ID, c.Comments)
			}
			found[c.Check.ID] = append(found[c.Check.ID], o.Meta.Name, "*")
		}
	}
	if checks < 100 {
		t.Errorf("only %d checks were made", checks)
	}
	for _, check := range slices.Sorted(maps.Keys(listed)) {
		for _, o := range listed[check].Objects {
			if !slices.Contains(found[check], o) || listed[check].Why == "" {
				t.Errorf("%s of %s is listed, and not found, or without a reason", check, o)
			}
		}
	}
}
