package status

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

func profileNamed(name string) *v1alpha1.InferenceProfile {
	return &v1alpha1.InferenceProfile{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// TestStatusWriter: what changed is written by the replica that leads, and all
// is compared again from time to time.
func TestStatusWriter(t *testing.T) {
	tests := map[string]struct {
		do   func(*Writer)
		all  bool
		want []string
	}{
		"nothing":            {func(*Writer) {}, false, nil},
		"what changed":       {func(s *Writer) { s.Set(profileNamed("b")); s.Set(profileNamed("a")) }, false, []string{"a", "b"}},
		"once":               {func(s *Writer) { s.Set(profileNamed("a")); s.Set(profileNamed("a")) }, false, []string{"a"}},
		"not what is gone":   {func(s *Writer) { s.Set(profileNamed("a")); s.Delete(types.NamespacedName{Name: "a"}) }, false, nil},
		"not what was taken": {func(s *Writer) { s.Set(profileNamed("a")); s.take(false) }, false, nil},
		"all of them":        {func(s *Writer) { s.Set(profileNamed("a")); s.take(false) }, true, []string{"a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := writer(t, nil)
			tt.do(s)
			var got []string
			for _, p := range s.take(tt.all) {
				got = append(got, p.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestStatusWriterWritesInTerms: every term begins with all, between terms nothing is
// written, and a write that failed does not stop those behind it.
func TestStatusWriterWritesInTerms(t *testing.T) {
	wrote := make(chan string, 100)
	s := writer(t, func(_ context.Context, p *v1alpha1.InferenceProfile, _ profile.Observed) error {
		wrote <- p.Name
		return errors.New("conflict")
	})
	s.Set(profileNamed("a"))
	for _, want := range [][]string{{"a", "b"}, {"a", "b", "c", "b"}} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		for i, name := range want {
			if i == len(want)-1 {
				s.Set(profileNamed("b")) // while it runs
			}
			select {
			case got := <-wrote:
				if got != name {
					t.Errorf("%s was written, want %s", got, name)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s was not written", name)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.Set(profileNamed("c"))
		if len(wrote) > 0 {
			t.Errorf("%s was written between two terms", <-wrote)
		}
	}
}
