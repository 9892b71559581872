//go:build long

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// short runs for 3 s, on the GPU for half a second.
func short(p *corev1.Pod) {
	p.GenerateName, p.Name = p.Name+"-", ""
	p.Annotations[cluster.DurationAnnotation] = "3s"
	p.Annotations[cluster.DurationAnnotation+"-GPU"] = "500ms"
}

// ran waits until pods have succeeded.
func ran(t *testing.T, s *stack.Stack, pods ...*corev1.Pod) {
	t.Helper()
	for _, p := range pods {
		eventually(t, func(ctx context.Context) error {
			found, err := s.Client().CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
			if err == nil && found.Status.Phase != corev1.PodSucceeded {
				err = fmt.Errorf("pod %s (%s) is %s", p.Name, reason(found), found.Status.Phase)
			}
			return err
		})
	}
}

// timed reads how many runs of first-try were timed on each kind.
func timed(ctx context.Context, s *stack.Stack) (runs map[string]int64, all int64, err error) {
	text, err := stack.Get(ctx, s.URL("extender", "/profiles/first-try?format=json"))
	if err != nil {
		return nil, 0, err
	}
	var page struct{ Variants []learnedView }
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", text, err)
	}
	runs = map[string]int64{}
	for _, v := range page.Variants {
		runs[v.Kind] = v.Runs
		all += v.Runs
	}
	return runs, all, nil
}

// TestNoTimes: with a profile that holds no times, three pods at once and then
// one after another, the GPU is used first, each kind is timed, and then the
// GPU, which takes a sixth of the time, is what they get.
func TestNoTimes(t *testing.T) {
	s := untimed(t, "", "", "")
	eventuallyWould(t, s, anyPod("", "first-try", "any", short), "GPU")
	first := create(t, s, anyPod("first-try", "first-try", "any", short))
	wantKind(t, first, "GPU")
	if !strings.Contains(reason(first), "not timed yet, expected first by the profile's order") {
		t.Errorf("the first pod's reason: %s", reason(first))
	}
	second := create(t, s, anyPod("first-try", "first-try", "any", short))
	third := create(t, s, anyPod("first-try", "first-try", "any", short))
	ran(t, s, first, second, third)

	kinds := []string{kind(first), kind(second), kind(third)}
	const most = 25
	var runs map[string]int64
	for len(kinds) < most && (runs["GPU"] == 0 || runs["NPU"] == 0 || runs["CPU"] == 0) {
		p := create(t, s, anyPod("first-try", "first-try", "any", short))
		kinds = append(kinds, kind(p))
		t.Logf("pod %d: %s", len(kinds), reason(p))
		ran(t, s, p)
		eventually(t, func(ctx context.Context) (err error) {
			var all int64
			if runs, all, err = timed(ctx, s); err == nil && int(all) != len(kinds) {
				err = fmt.Errorf("%d runs were timed of %d", all, len(kinds))
			}
			return err
		})
	}
	for _, k := range []string{"GPU", "NPU", "CPU"} {
		if runs[k] == 0 {
			t.Errorf("of %d pods none was timed on the %s: %v", len(kinds), k, kinds)
		}
	}
	if !slices.Contains(kinds[3:], "GPU") {
		t.Errorf("no pod but the first got the GPU: %v", kinds)
	}
	for range 4 {
		p := create(t, s, anyPod("first-try", "first-try", "any", short))
		if !strings.Contains(reason(p), "tried") {
			wantKind(t, p, "GPU")
		}
		kinds = append(kinds, kind(p))
		ran(t, s, p)
	}
	if n := len(kinds); !slices.Contains(kinds[n-2:], "GPU") {
		t.Errorf("the latest pods did not get the GPU: %v", kinds)
	}
	text, err := stack.Get(t.Context(), s.URL("extender", "/profiles/first-try"))
	if err != nil || strings.Count(text, ", learned") != 3 {
		t.Errorf("/profiles/first-try: %v\n%s", err, text)
	}
}

// TestWrongHints: a kind whose hint is sixty times too long is found out, on
// which no pod would ever have been put.
func TestWrongHints(t *testing.T) {
	s := untimed(t, ", serviceTime: 30s", "", ", serviceTime: 2s")
	eventuallyWould(t, s, anyPod("", "first-try", "gpu,cpu", short), "CPU")
	const most = 60
	var kinds []string
	for len(kinds) < most {
		var batch []*corev1.Pod
		for range 3 { // the CPU has room for them
			p := create(t, s, anyPod("first-try", "first-try", "gpu,cpu", short))
			kinds, batch = append(kinds, kind(p)), append(batch, p)
			t.Logf("pod %d: %s", len(kinds), reason(p))
		}
		ran(t, s, batch...)
		eventually(t, func(ctx context.Context) error {
			_, all, err := timed(ctx, s)
			if err == nil && int(all) != len(kinds) {
				err = fmt.Errorf("%d runs were timed of %d", all, len(kinds))
			}
			return err
		})
		if kind(batch[0]) == "GPU" && !strings.Contains(reason(batch[0]), "tried") {
			return
		}
	}
	t.Errorf("the GPU is not found to be the faster one: %v", kinds)
}
