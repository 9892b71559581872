package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// TestWords is what becomes of containers and their words when they are not
// the README's: on the real API server, which completes and judges what the
// webhook makes of them.
func TestWords(t *testing.T) {
	s := borrow(t, fourNodes)
	profiles := []string{"model-server", "nvr", "parking", "trusting"}
	defer kubectl(t, s, append([]string{"delete", "inferenceprofiles"}, profiles...)...)
	for _, profile := range profiles {
		said, err := s.Kubectl(t.Context(), "apply", "--server-side", "-f", wordsFile(t, "profile-"+profile))
		if err != nil {
			t.Fatal(said)
		}
	}
	eventually(t, func(ctx context.Context) error {
		for _, inference := range profiles {
			known := anyPod("", inference, "any", func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"run", "$(HETEROACCEL_DEVICE)"} })
			if _, err := would(ctx, s, known); err != nil {
				return err
			}
		}
		return nil
	})
	runShared(t, s, []shared{
		{"config file", configFile},
		{"helper container first", helperFirst},
		{"several containers", severalContainers},
		{"static pod's mirror", mirrorPod},
		{"LimitRange", limitRange},
		{"device from the environment", fromEnvironment},
		{"unwritten device", unwrittenTeachesNothing},
		{"claim", claimed},
		{"no flags", noFlags},
		{"key", keys},
		{"other scheduler", otherScheduler},
		{"pod-level resources", wholePods},
		{"pod-level limit alone", wholeLimit},
		{"volume of a newer version", newerVolume},
	})
}

// wordsFile is the path of a file of this test's inputs.
func wordsFile(t *testing.T, name string) string {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "e2e", "testdata", "words", name+".yaml")
}

// templatePod is the pod that a workload's controller makes of a manifest; of a
// pod's it is the pod.
func templatePod(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	data, err := os.ReadFile(wordsFile(t, name))
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		Kind     string            `json:"kind"`
		Metadata metav1.ObjectMeta `json:"metadata"`
		Spec     struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	}
	raw, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	p := &corev1.Pod{}
	if o.Kind == "Pod" {
		if err := json.Unmarshal(raw, p); err != nil {
			t.Fatal(err)
		}
	} else {
		p.ObjectMeta, p.Spec = o.Spec.Template.ObjectMeta, o.Spec.Template.Spec
		p.Name = name
	}
	if p.Namespace == "" {
		p.Namespace = metav1.NamespaceDefault
	}
	return p
}

// warnings collects what the API server says beside its answers.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

// warned creates a pod and returns it with the warnings about our webhook's
// doubts.
func warned(t *testing.T, s *stack.Stack, p *corev1.Pod) (*corev1.Pod, []string, error) {
	t.Helper()
	heard := &warnings{}
	config := rest.CopyConfig(s.REST())
	config.WarningHandler = heard
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	admitted, err := client.CoreV1().Pods(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{})
	heard.mu.Lock()
	defer heard.mu.Unlock()
	for _, text := range heard.said {
		if len(text) > 256 {
			t.Errorf("a warning of %d bytes: %s", len(text), text)
		}
	}
	return admitted, heard.said, err
}

// wantWarnings checks that each of wants is part of a warning, and that there
// are no others.
func wantWarnings(t *testing.T, said []string, wants ...string) {
	t.Helper()
	if len(said) != len(wants) {
		t.Errorf("%d warnings, want %d: %q", len(said), len(wants), said)
		return
	}
	for i, want := range wants {
		if !strings.Contains(said[i], want) {
			t.Errorf("warning %d is\n%s\nwant one with\n%s", i+1, said[i], want)
		}
	}
}
