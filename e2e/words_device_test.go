package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// configFile: a server whose devices stand in a file gets no words, and people
// are told: by the API server, on the pod and on the explain page.
func configFile(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "config-file")
	p, said, err := warned(t, s, in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in.Spec.Containers[0].Args, p.Spec.Containers[0].Args); diff != "" {
		t.Errorf("args (-want +got):\n%s", diff)
	}
	wantWarnings(t, said, `container "model-server": "--config_path /etc/ovms/config.json" (in volume models-list) sets the device itself, so no flag was added: check that it sets `)
	const brief = "what --config_path sets may be another device"
	if !strings.HasSuffix(reason(p), "; but "+brief) {
		t.Errorf("the reason is %s", reason(p))
	}
	eventually(t, func(ctx context.Context) error {
		page, err := stack.Get(ctx, s.URL("extender", "/pods/default/"+p.Name))
		if err == nil && !strings.Contains(strings.Join(strings.Fields(page), " "), brief) {
			err = fmt.Errorf("the page does not warn:\n%s", page)
		}
		return err
	})
}

// fromEnvironment: text that says the device by itself stays, and people are
// told.
func fromEnvironment(t *testing.T, s *stack.Stack) {
	for name, wants := range map[string][]string{
		"device-from-config-map": {`"-d ${TARGET_DEVICE:-GPU}" stays as it is and may name another device than MYRIAD (ConfigMap bench-settings may set it): write "-d any"`},
		"device-from-script":     {`"-d '$DEV'" stays as it is`, `"DEV=GPU" stays as it is and names another device than MYRIAD`, `"'target_device':'GPU'" stays`},
		"device-behind-docker":   {`"-d --name" is taken for another program's flag, and so only the variable HETEROACCEL_DEVICE names MYRIAD`},
	} {
		t.Run(name, func(t *testing.T) {
			in := templatePod(t, name)
			in.Annotations[accel.AcceleratorAnnotation] = "npu"
			p, said, err := warned(t, s, in)
			if err != nil {
				t.Fatal(err)
			}
			wantWarnings(t, said, wants...)
			if got, was := p.Spec.Containers[0], in.Spec.Containers[0]; !slices.Equal(got.Command, was.Command) || !slices.Equal(got.Args, was.Args) {
				t.Errorf("the words were changed: %q %q", got.Command, got.Args)
			}
			if !strings.Contains(reason(p), "; but ") {
				t.Errorf("the reason is %s", reason(p))
			}
			if !strings.Contains(p.Annotations[accel.OriginalAnnotation], `"unwritten":true`) {
				t.Errorf("the record is %s", p.Annotations[accel.OriginalAnnotation])
			}
		})
	}
	// And of a pod in whose words all is clear nobody is warned.
	p, said, err := warned(t, s, anyPod("clear", "face-recognition", "any"))
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, said)
	if strings.Contains(reason(p), "; but ") || strings.Contains(p.Annotations[accel.OriginalAnnotation], "unwritten") {
		t.Errorf("the reason is %s, the record %s", reason(p), p.Annotations[accel.OriginalAnnotation])
	}
}

// unwrittenTeachesNothing: of the runs of pods whose device nobody wrote none is
// learned.
func unwrittenTeachesNothing(t *testing.T, s *stack.Stack) {
	const takes = 2 * time.Second
	run := func(name, script string) *corev1.Pod {
		return create(t, s, anyPod(name, "face-recognition", "cpu", withAnnotation(cluster.DurationAnnotation, takes.String()),
			func(p *corev1.Pod) { p.Spec.Containers[0].Command[2] = script }))
	}
	ended := func(p *corev1.Pod) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			found, err := s.Client().CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
			if err == nil && found.Status.Phase != corev1.PodSucceeded {
				err = fmt.Errorf("pod %s is %s", p.Name, found.Status.Phase)
			}
			return err
		})
	}
	// Two at once, so that, were they counted, nobody would see one alone.
	first, second := run("unwritten-1", "./run -d $DEV"), run("unwritten-2", "./run -d $DEV")
	ended(first)
	ended(second)
	ended(run("written", "./run -d any"))
	wantLearned(t, s, "CPU", 1, takes)
}

// noFlags: an entrypoint that takes no flags gets none.
func noFlags(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "claim")
	in.Name, in.Spec.ResourceClaims, in.Spec.Containers[0].Resources.Claims = "no-flags", nil, nil
	p, said, err := warned(t, s, in)
	if err != nil {
		t.Fatal(err)
	}
	if c := p.Spec.Containers[0]; len(c.Command)+len(c.Args) > 0 {
		t.Errorf("it got words: %q %q", c.Command, c.Args)
	}
	wantWarnings(t, said, "as inference nvr has no device flags: if the program reads it, set readsDeviceEnv in the profile")
	patch := `{"spec":{"readsDeviceEnv":true}}`
	if said, err := s.Kubectl(t.Context(), "patch", "inferenceprofile", "nvr", "--type=merge", "-p", patch); err != nil {
		t.Fatal(said)
	}
	eventually(t, func(context.Context) error {
		in.Name, in.GenerateName = "", "reads-"
		_, said, err := warned(t, s, in)
		if err == nil && len(said) > 0 {
			err = fmt.Errorf("it is still warned: %q", said)
		}
		return err
	})
}

// keys: device=GPU of a pipeline, and intel:gpu.
func keys(t *testing.T, s *stack.Stack) {
	for name, want := range map[string]string{
		"key-in-shell":    "v4l2src device=/dev/video0|device=CPU pre-process-backend=va|model=/m/color.xml device=CPU object-class",
		"key-in-words":    "device=CPU",
		"key-with-vendor": "device=intel:cpu",
	} {
		t.Run(name, func(t *testing.T) {
			in := templatePod(t, name)
			in.Annotations[accel.AcceleratorAnnotation] = "cpu"
			p, said, err := warned(t, s, in)
			if err != nil {
				t.Fatal(err)
			}
			wantWarnings(t, said)
			words := strings.Join(p.Spec.Containers[0].Args, " ")
			for part := range strings.SplitSeq(want, "|") {
				if !strings.Contains(words, part) {
					t.Errorf("the words are %s, want %s", words, part)
				}
			}
			if strings.Contains(words, "GPU") || strings.Contains(words, "-d ") {
				t.Errorf("the words are %s", words)
			}
		})
	}
}
