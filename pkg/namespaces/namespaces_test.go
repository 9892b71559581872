package namespaces

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"heteroaccel.io/pkg/profile"
)

// selecting is a profile that is for namespaces with the labels of a selector, ""
// for any.
func selecting(t *testing.T, name, selector string) *profile.Profile {
	t.Helper()
	p := &profile.Profile{Name: name}
	if selector != "" {
		var err error
		if p.Namespaces, err = labels.Parse(selector); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestRefuses(t *testing.T) {
	list := func(s string) map[string]string { return map[string]string{AllowedAnnotation: s} }
	for name, c := range map[string]struct {
		annotations map[string]string
		selector    string
		want        string // part of the sentence, "" for none
	}{
		"neither chooses":      {nil, "", ""},
		"listed":               {list("text, face ,object"), "", ""},
		"listed alone":         {list("face"), "", ""},
		"not listed":           {list("text,object"), "", "namespace team-a does not allow inference face, but text, object: ask for one of these"},
		"part of a name":       {list("face-recognition"), "", "does not allow inference face"},
		"none listed":          {list(""), "", "namespace team-a allows no inference: whoever may change it adds face"},
		"only commas":          {list(" , ,"), "", "allows no inference"},
		"too long":             {list("face," + strings.Repeat("x", maxAllowed)), "", "is longer than 16 KiB"},
		"many listed":          {list(strings.Repeat("x,", 30)), "", "x, …: ask for one"},
		"selected":             {nil, "team in (a,b)", ""},
		"not selected":         {nil, "team=c", "inference face is not for namespace team-a: its InferenceProfile is for namespaces with the labels team=c"},
		"selected by name":     {nil, "kubernetes.io/metadata.name=team-a", ""},
		"listed, not selected": {list("face"), "team=c", "is not for namespace team-a"},
		"selected, not listed": {list("text"), "team=a", "does not allow inference face"},
		"both":                 {list("face"), "team=a", ""},
		"everything selected":  {nil, " ", ""},
		"another's annotation": {map[string]string{"allowed-inferences": "text"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewStore()
			s.Set(Of(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
				Name: "team-a", Labels: map[string]string{"team": "a", corev1.LabelMetadataName: "team-a"}, Annotations: c.annotations,
			}}))
			err := s.Refuses("team-a", selecting(t, "face", c.selector))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestUnknown: of a namespace that the feed has not shown yet, nothing but a
// selector matters.
func TestUnknown(t *testing.T) {
	var none *Store
	if err := none.Refuses("team-a", selecting(t, "face", "team=a")); err != nil {
		t.Errorf("without namespaces: %v", err)
	}
	s := NewStore()
	if err := s.Refuses("team-a", selecting(t, "face", "")); err != nil {
		t.Errorf("without a selector: %v", err)
	}
	if err := s.Refuses("team-a", selecting(t, "face", "team=a")); err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("with a selector: %v", err)
	}
	s.Set(Of(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a", Annotations: map[string]string{AllowedAnnotation: "text"}}}))
	if s.Refuses("team-a", selecting(t, "face", "")) == nil {
		t.Error("a list is ignored")
	}
	s.Delete("team-a")
	if err := s.Refuses("team-a", selecting(t, "face", "")); err != nil {
		t.Errorf("after it was deleted: %v", err)
	}
}
