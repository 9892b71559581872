package show

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/cli/pages"
)

// at is a time of creation.
func at(seconds int) *time.Time { return new(time.Unix(int64(seconds), 0)) }

// TestQueueOrder: pods of a kind wait by priority, then by age; those that kube-scheduler
// does not look at have no position, and those that are bound or done do not wait.
func TestQueueOrder(t *testing.T) {
	all := pages.Pods{Pods: []pages.Pod{
		{Namespace: "b", Name: "young", Kind: "GPU", Created: at(3)},
		{Namespace: "a", Name: "old", Kind: "GPU", Created: at(1)},
		{Namespace: "a", Name: "urgent", Kind: "GPU", Created: at(9), Priority: 5},
		{Namespace: "a", Name: "gated", Kind: "GPU", Created: at(0), Priority: 9, Gated: true},
		{Namespace: "a", Name: "going", Kind: "GPU", Created: at(0), Deleted: true},
		{Namespace: "b", Name: "alike", Kind: "GPU", Created: at(1)},
		{Namespace: "a", Name: "runs", Kind: "GPU", Created: at(0), Node: "g", Phase: "Running"},
		{Namespace: "a", Name: "ended", Kind: "GPU", Created: at(0), Phase: "Failed"},
		{Namespace: "a", Name: "another", Kind: "NPU"},
	}}
	for namespace, want := range map[string][]string{
		"":  {"GPU 1 a/urgent", "GPU 2 a/old", "GPU 3 b/alike", "GPU 4 b/young", "GPU 0 a/gated", "GPU 0 a/going", "NPU 1 a/another"},
		"b": {"GPU 3 b/alike", "GPU 4 b/young"},
		"c": nil,
	} {
		var got []string
		for _, k := range QueueOf(all, namespace).Kinds {
			for _, p := range k.Pods {
				got = append(got, fmt.Sprintf("%s %d %s/%s", k.Kind, p.Position, p.Namespace, p.Name))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("namespace %q (-want +got):\n%s", namespace, diff)
		}
	}
	text := QueueOf(all, "").Text(false)
	for _, want := range []string{"it has scheduling gates", "it is being deleted"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if text := QueueOf(pages.Pods{}, "").Text(false); text != "no pod waits for an accelerator\n" {
		t.Errorf("an empty queue: %q", text)
	}
}

// TestDecisions: those of one namespace are shown, and what an empty list means.
func TestDecisions(t *testing.T) {
	all := page[pages.Decisions](t, "decisions")
	if lab := DecisionsOf(all, "lab"); len(lab.Decisions) != 1 || lab.Decisions[0].Pod != "typo" || len(lab.Missing) != 1 || len(all.Decisions) != 4 {
		t.Errorf("of lab: %+v; of all %d", lab, len(all.Decisions))
	}
	if text := Decisions(DecisionsOf(all, "none"), false); !strings.Contains(text, "in memory alone") {
		t.Error(text)
	}
}

// TestCutOmission: a page is as it was but for what it leaves out.
func TestCutOmission(t *testing.T) {
	for name, tt := range map[string]struct {
		page, rest string
		notes      []string
	}{
		"whole": {"pod  a\n\nNODE  STATE\n", "pod  a\n\nNODE  STATE\n", nil},
		"not":   {"pod  a\n\nNOT SHOWN    nodes, which you may not list\n", "pod  a\n", []string{"nodes, which you may not list"}},
	} {
		t.Run(name, func(t *testing.T) {
			rest, notes := CutOmission(tt.page)
			if rest != tt.rest || cmp.Diff(tt.notes, notes) != "" {
				t.Errorf("%q, %q", rest, notes)
			}
		})
	}
}

// TestShort: a sentence is cut between runes.
func TestShort(t *testing.T) {
	for s, want := range map[string]string{"": "", "abcde": "abcde", "abcdef": "abcd…", "ééééé": "ééééé", "éééééé": "éééé…", "abc, d": "abc…"} {
		if got := short(s, 5); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
