package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// learnedView is what /profiles/NAME says of one kind.
type learnedView struct {
	Kind           string
	HintSeconds    float64
	LearnedSeconds float64
	UsedSeconds    float64
	Runs           int64
}

// learnedOf reads the extender's page of face-recognition.
func learnedOf(ctx context.Context, s *stack.Stack, kind string) (learnedView, error) {
	text, err := stack.Get(ctx, s.URL("extender", "/profiles/face-recognition?format=json"))
	if err != nil {
		return learnedView{}, err
	}
	var page struct{ Variants []learnedView }
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		return learnedView{}, fmt.Errorf("read %s: %w", text, err)
	}
	for _, v := range page.Variants {
		if v.Kind == kind {
			return v, nil
		}
	}
	return learnedView{}, fmt.Errorf("no %s in %s", kind, text)
}

// wantLearned waits until so many runs were learned from, and checks what from:
// each took as long as said, less the whole second to which the API cuts a
// pod's times, and more by what a busy machine adds.
func wantLearned(t *testing.T, s *stack.Stack, kind string, runs int64, took time.Duration) learnedView {
	t.Helper()
	var v learnedView
	eventually(t, func(ctx context.Context) (err error) {
		if v, err = learnedOf(ctx, s, kind); err == nil && v.Runs != runs {
			err = fmt.Errorf("%s was learned from %d runs, want %d; outcomes: %s", kind, v.Runs, runs, outcomes(ctx, s))
		}
		return err
	})
	if v.LearnedSeconds < took.Seconds()-1 || v.LearnedSeconds > 2*took.Seconds() {
		t.Errorf("%s: a run is said to take %v s, and takes %s", kind, v.LearnedSeconds, took)
	}
	t.Logf("%s: runs of %s were learned as %v s from %d runs", kind, took, v.LearnedSeconds, v.Runs)
	return v
}

// runJob runs pods one after another, each for so long, and waits for the last.
func runJob(t *testing.T, s *stack.Stack, name, kinds string, completions int, takes time.Duration) {
	t.Helper()
	createJob(t, s, name, "face-recognition", kinds, completions, 1, takes)
	eventually(t, func(ctx context.Context) error { return jobDone(ctx, s, name, completions) })
}

// createJob creates a Job of so many runs, some at a time, each for so long.
func createJob(t *testing.T, s *stack.Stack, name, inference, kinds string, completions, parallelism int, takes time.Duration) {
	t.Helper()
	job := fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec:
  completions: %d
  parallelism: %d
  backoffLimit: 0
  template:
    metadata:
      annotations:
        heteroaccel.io/inference: %s
        heteroaccel.io/accelerator: %s
        %s: %s
    spec:
      restartPolicy: Never
      containers: [{name: inference, image: mine}]
`, name, completions, parallelism, inference, kinds, cluster.DurationAnnotation, takes)
	if said, err := s.KubectlInput(t.Context(), job, "create", "-f", "-"); err != nil {
		t.Fatalf("create job %s: %v: %s", name, err, said)
	}
}

// jobDone checks that all pods of a Job have succeeded.
func jobDone(ctx context.Context, s *stack.Stack, name string, completions int) error {
	j, err := s.Client().BatchV1().Jobs(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{})
	if err == nil && int(j.Status.Succeeded) != completions {
		err = fmt.Errorf("%d of %d pods of job %s succeeded", j.Status.Succeeded, completions, name)
	}
	return err
}

// outcomes are what became of the runs that ended.
func outcomes(ctx context.Context, s *stack.Stack) string {
	all, err := stack.Metrics(ctx, s.URL("webhook status", "/metrics"))
	if err != nil {
		return err.Error()
	}
	maps.DeleteFunc(all, func(name string, _ float64) bool {
		return !strings.HasPrefix(name, "heteroaccel_webhook_finished_runs_total")
	})
	return fmt.Sprint(all)
}

// TestLearned: what pods took replaces what the profile hints, survives a
// restart, and ends when the variant is edited.
func TestLearned(t *testing.T) {
	s := borrow(t, learns)
	const inference = "face-recognition"
	eventuallyWould(t, s, anyPod("", inference, "any"), "GPU") // 76 ms by its hint, the NPU 146 ms

	// A pod that is deleted while it runs tells nothing.
	cut := running(t, s, create(t, s, anyPod("cut-short", inference, "gpu")))
	if said, err := s.Kubectl(t.Context(), "delete", "pod", cut.Name, "--wait"); err != nil {
		t.Fatalf("delete: %v: %s", err, said)
	}
	const slow = 2500 * time.Millisecond
	runJob(t, s, "slow-on-gpu", "gpu", 3, slow)
	v := wantLearned(t, s, "GPU", 3, slow)
	// One namespace alone moves the time four times as far as the hint.
	if v.HintSeconds != 0.076 || v.UsedSeconds != 4*v.HintSeconds {
		t.Errorf("after 3 runs decisions go by %v s, learned %v s, hinted %v s", v.UsedSeconds, v.LearnedSeconds, v.HintSeconds)
	}
	eventuallyWould(t, s, anyPod("", inference, "any"), "NPU")
	said := kubectl(t, s, "get", "infp", inference, "-o", "yaml")
	for _, want := range []string{"learned:", "accelerator: GPU", "runs: 3", "lastObserved:", "time: ", "namespaces:"} {
		if !strings.Contains(said, want) {
			t.Errorf("kubectl get infp -o yaml does not say %q:\n%s", want, said)
		}
	}
	if learned := kubectl(t, s, "get", "infp", inference, "-o", "jsonpath={.status.learned}"); strings.Contains(learned, metav1.NamespaceDefault) {
		t.Errorf("the profile names the namespace of its pods: %s", learned)
	}
	text, err := stack.Get(t.Context(), s.URL("extender", "/profiles"))
	if err != nil || !strings.Contains(text, "LEARNED") {
		t.Errorf("/profiles: %v\n%s", err, text)
	}
	t.Logf("/profiles:\n%s", text)

	// Killed, it forgets nothing, and counts none of the finished pods that it
	// is shown again.
	s.Process("webhook").Kill()
	if err := s.StartWebhook(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventuallyWould(t, s, anyPod("", inference, "any"), "NPU")
	runJob(t, s, "once-more", "gpu", 1, slow)
	wantLearned(t, s, "GPU", 4, slow)

	// Runs on the NPU that are slower still make the GPU the better one again.
	const slower = 5 * time.Second
	runJob(t, s, "slower-on-npu", "npu", 3, slower)
	wantLearned(t, s, "NPU", 3, slower)
	eventuallyWould(t, s, anyPod("", inference, "gpu,npu"), "GPU")

	// An edited variant starts over from its hint.
	kinds := strings.Fields(kubectl(t, s, "get", "infp", inference, "-o", "jsonpath={.spec.variants[*].accelerator}"))
	edit := func(image string) {
		kubectl(t, s, "patch", "infp", inference, "--type=json", "-p", fmt.Sprintf(
			`[{"op":"replace","path":"/spec/variants/%d/image","value":"heteroaccel/face-recognition:%s"}]`, slices.Index(kinds, "NPU"), image))
	}
	edit("npu-2")
	defer edit("npu")
	eventuallyWould(t, s, anyPod("", inference, "gpu,npu"), "NPU")
	eventually(t, func(ctx context.Context) error {
		left, err := s.Kubectl(ctx, "get", "infp", inference, "-o", "jsonpath={.status.learned[*].accelerator}")
		if err == nil && left != "GPU" {
			err = fmt.Errorf("learned of are %q, want GPU alone", left)
		}
		return err
	})
	if v, err := learnedOf(t.Context(), s, "NPU"); err != nil || v.Runs != 0 || v.UsedSeconds != v.HintSeconds {
		t.Errorf("the edited variant: %+v, %v", v, err)
	}
	wantLearned(t, s, "GPU", 4, slow)
	reset(t, s)
}

// reset: the annotation drops what was learned, and pods from before it tell
// nothing.
func reset(t *testing.T, s *stack.Stack) {
	t.Helper()
	before := create(t, s, anyPod("before", "face-recognition", "gpu", func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Annotations[cluster.DurationAnnotation] = "10s"
	}))
	running(t, s, before)
	none := forget(t, s, "1")
	eventually(t, func(ctx context.Context) error {
		n, err := metricOf(ctx, s, "webhook status", `heteroaccel_webhook_finished_runs_total{outcome="edited"}`)
		if err == nil && n != 1 {
			err = fmt.Errorf("%v pods from before a reset were counted, want the one", n)
		}
		return err
	})
	if err := none(t.Context()); err != nil {
		t.Error(err)
	}
}

// forget sets the annotation and waits until nothing is learned; the function that it
// returns checks that this is still so.
func forget(t *testing.T, s *stack.Stack, value string) (none func(context.Context) error) {
	t.Helper()
	kubectl(t, s, "annotate", "infp", "face-recognition", accel.ResetLearnedAnnotation+"="+value, "--overwrite")
	none = func(ctx context.Context) error {
		for _, kind := range []string{"GPU", "NPU", "CPU"} {
			v, err := learnedOf(ctx, s, kind)
			if err == nil && (v.Runs != 0 || v.UsedSeconds != v.HintSeconds) {
				err = fmt.Errorf("after a reset: %+v", v)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	eventually(t, none)
	eventually(t, func(ctx context.Context) error {
		left, err := s.Kubectl(ctx, "get", "infp", "face-recognition", "-o", "jsonpath={.status.learnedReset},{.status.learned}")
		if err == nil && left != value+"," {
			err = fmt.Errorf("the status has %q", left)
		}
		return err
	})
	return none
}
