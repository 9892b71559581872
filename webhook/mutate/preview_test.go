package mutate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
)

// TestPreview: what is shown beforehand is what is made, for every golden pod
// and every variant.
func TestPreview(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	compared := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pod := decode(t, templateOf(t, strings.Split(string(content), "\n---\n")[1]+"\n"))
			p := testProfile(t)
			req, ours, err := accel.ParseRequest(pod.Metadata.Annotations)
			if err != nil || !ours {
				return // refused before there is anything to show
			}
			target, err := FindTarget(pod, req, p, knownResource)
			if err != nil {
				return
			}
			before := encode(t, pod)
			for i := range p.Variants {
				in := Input{Request: req, Profile: p, Variant: &p.Variants[i], Target: target, Known: knownResource, Namespace: "default"}
				shown, refused := Preview(pod, in)
				in.Keys, in.Decision = testKey, Decision{Kind: p.Variants[i].Kind, Reservation: "r-1"}
				made, err := Apply(pod, in)
				if err != nil {
					if refused == nil || refused.Error() != err.Error() {
						t.Errorf("%s: shown %v, made %v", p.Variants[i].Kind, refused, err)
					}
					continue
				}
				if refused != nil {
					t.Fatalf("%s: %v", p.Variants[i].Kind, refused)
				}
				compared++
				if diff := cmp.Diff(encode(t, made.Spec), encode(t, shown.Spec)); diff != "" {
					t.Errorf("%s (-made +shown):\n%s", p.Variants[i].Kind, diff)
				}
				if shown.Namespace != "default" || shown.Annotations[accel.OriginalAnnotation] != pod.Metadata.Annotations[accel.OriginalAnnotation] {
					t.Errorf("%s: shown with metadata %+v", p.Variants[i].Kind, shown.ObjectMeta)
				}
			}
			if after := encode(t, pod); after != before {
				t.Errorf("the pod was changed (-before +after):\n%s", cmp.Diff(before, after))
			}
		})
	}
	if compared < 20 {
		t.Errorf("only %d previews were compared", compared)
	}
}
