package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestWords is what becomes of containers and their words when they are not
// the README's: on the real API server, which completes and judges what the
// webhook makes of them.
func TestWords(t *testing.T) {
	s := start(t, stack.Config{Webhook: []string{"--scheduler-names=default-scheduler,edge-scheduler"}})
	for _, profile := range []string{"model-server", "nvr", "parking"} {
		said, err := s.Kubectl(t.Context(), "apply", "--server-side", "-f", wordsFile(t, "profile-"+profile))
		if err != nil {
			t.Fatal(said)
		}
	}
	eventually(t, func(ctx context.Context) error {
		for _, inference := range []string{"model-server", "nvr", "parking"} {
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
	const brief = "what --config_path says may be another device"
	if !strings.HasSuffix(reason(p), "; but "+brief) {
		t.Errorf("the reason is %s", reason(p))
	}
	eventually(t, func(ctx context.Context) error {
		page, err := stack.Get(ctx, s.URL("extender", "/pods/default/"+p.Name))
		if err == nil && !strings.Contains(strings.Join(strings.Fields(page), " "), brief) {
			err = fmt.Errorf("the page does not say so:\n%s", page)
		}
		return err
	})
}

// helperFirst: a helper that stands first stays what it is.
func helperFirst(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "helper-container-first")
	p, said, err := warned(t, s, in)
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, said)
	for i, c := range p.Spec.Containers {
		was := in.Spec.Containers[i]
		if c.Name == "wait" && (c.Image != was.Image || !slices.Equal(c.Command, was.Command) || len(c.Resources.Limits) > 0) {
			t.Errorf("the helper was mutated: %s %q %v", c.Image, c.Command, c.Resources)
		}
		if c.Name == "main" && !strings.HasPrefix(c.Image, "heteroaccel/face-recognition:") {
			t.Errorf("the main container runs %s", c.Image)
		}
	}
}

// severalContainers: kubectl prints which there are and what to write.
func severalContainers(t *testing.T, s *stack.Stack) {
	two := func(p *corev1.Pod) {
		p.Spec.Containers[0].Name, p.Spec.Containers[0].Command = "app", []string{"./run"}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "log", Image: "log"})
	}
	said, err := s.KubectlInput(t.Context(), manifest(t, anyPod("several", "face-recognition", "any", two)), "create", "-f", "-")
	want := "the pod has several containers (app, log), and nothing says which of them runs the inference: name it in annotation heteroaccel.io/container"
	if err == nil || !strings.Contains(said, want) {
		t.Errorf("kubectl says\n%s\nwant\n%s", said, want)
	}
	p := create(t, s, anyPod("several", "face-recognition", "any", two, withAnnotation(accel.ContainerAnnotation, "log")))
	if image := p.Spec.Containers[1].Image; !strings.HasPrefix(image, "heteroaccel/face-recognition:") {
		t.Errorf("the named container runs %s", image)
	}
}

// mirrorPod: what a kubelet posts of a file on its node comes through as it is.
func mirrorPod(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "static-pod-mirror")
	node, err := s.Client().CoreV1().Nodes().Get(t.Context(), "n", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	in.OwnerReferences[0].UID = node.UID
	p, said, err := warned(t, s, in)
	if err != nil {
		t.Fatal(err)
	}
	wantWarnings(t, said)
	if kind(p) != "" || p.Spec.NodeName != "n" || !slices.Equal(p.Spec.Containers[0].Command, in.Spec.Containers[0].Command) {
		t.Errorf("it was mutated: %v, node %q, %q", p.Annotations, p.Spec.NodeName, p.Spec.Containers[0].Command)
	}
}

// limitRange: what a LimitRange filled in makes way for what the kind needs.
func limitRange(t *testing.T, s *stack.Stack) {
	namespace(t, s, "plant")
	_, err := s.Client().CoreV1().LimitRanges("plant").Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "everybody"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:           corev1.LimitTypeContainer,
			Default:        amounts("500m", "256Mi"),
			DefaultRequest: amounts("100m", "128Mi"),
			Max:            amounts("4", "4Gi"),
		}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		own  corev1.ResourceRequirements
		want corev1.ResourceRequirements
	}{
		"defaults": {want: corev1.ResourceRequirements{Limits: amounts("2", "1Gi"), Requests: amounts("2", "1Gi")}},
		"its own memory": {
			own:  corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}},
			want: corev1.ResourceRequirements{Limits: amounts("2", "512Mi"), Requests: amounts("2", "512Mi")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := create(t, s, anyPod("ranged-"+strings.ReplaceAll(name, " ", "-"), "face-recognition", "cpu", inNamespace("plant"),
				func(p *corev1.Pod) { p.Spec.Containers[0].Resources = c.own }))
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				got, want := p.Spec.Containers[0].Resources, c.want
				limit, request := got.Limits[name], got.Requests[name]
				if limit.Cmp(want.Limits[name]) != 0 || request.Cmp(want.Requests[name]) != 0 {
					t.Errorf("%s: limit %s, request %s, want %v", name, &limit, &request, want)
				}
			}
		})
	}
}

func amounts(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
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

// claimed: a container with a claim is refused, one beside it is not.
func claimed(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "claim")
	_, _, err := warned(t, s, in)
	want := `container "app" uses the resource claim "gpu", which chooses a device by itself: remove the claim from the container, or the annotation heteroaccel.io/inference from the pod`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	claims := in.Spec.Containers[0].Resources.Claims
	in.Spec.Containers[0].Resources.Claims = nil
	in.Spec.Containers = append(in.Spec.Containers, corev1.Container{
		Name: "record", Image: "example/record:1", Resources: corev1.ResourceRequirements{Claims: claims},
	})
	p, _, err := warned(t, s, in)
	if err != nil {
		t.Fatal(err)
	}
	if kind(p) == "" || len(p.Spec.Containers[1].Resources.Claims) != 1 {
		t.Errorf("kind %q, the other container's claims %v", kind(p), p.Spec.Containers[1].Resources.Claims)
	}
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

// otherScheduler: a pod of a scheduler that does not ask us is refused.
func otherScheduler(t *testing.T, s *stack.Stack) {
	in := templatePod(t, "other-scheduler")
	_, _, err := warned(t, s, in)
	want := `spec.schedulerName is "volcano", and only pods of default-scheduler, edge-scheduler are placed by device here`
	if err == nil || !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	in.Spec.SchedulerName = "edge-scheduler"
	if p := create(t, s, in); kind(p) == "" {
		t.Error("a pod of the other scheduler of ours was not mutated")
	}
}

// wholePods: pods with resources of the whole pod are admitted, and the API
// server takes what the webhook makes of them.
func wholePods(t *testing.T, s *stack.Stack) {
	for _, kinds := range []string{"gpu,npu", "cpu"} {
		for name, change := range map[string]func(*corev1.ResourceRequirements){
			"as it is": func(*corev1.ResourceRequirements) {},
			"small": func(r *corev1.ResourceRequirements) {
				r.Limits, r.Requests = amounts("1", "256Mi"), amounts("500m", "128Mi")
			},
			"a limit alone":  func(r *corev1.ResourceRequirements) { r.Limits, r.Requests = amounts("1", "256Mi"), nil },
			"requests alone": func(r *corev1.ResourceRequirements) { r.Limits = nil },
			"memory alone": func(r *corev1.ResourceRequirements) {
				delete(r.Limits, corev1.ResourceCPU)
				delete(r.Requests, corev1.ResourceCPU)
			},
		} {
			t.Run(kinds+", "+name, func(t *testing.T) {
				in := templatePod(t, "pod-level-resources")
				in.Name, in.GenerateName = "", "tills-"
				in.Annotations[accel.AcceleratorAnnotation] = kinds
				change(in.Spec.Resources)
				p := create(t, s, in)
				r := p.Spec.Containers[0].Resources
				if kinds != "cpu" {
					if kind(p) != "GPU" && kind(p) != "NPU" || len(devices(p)) != 1 {
						t.Errorf("it got %s, %v", kind(p), r)
					}
					return
				}
				cpu := r.Requests[corev1.ResourceCPU]
				if cpu.Cmp(resource.MustParse("2")) < 0 || len(devices(p)) > 0 {
					t.Errorf("on the CPU its container requests %v", r.Requests)
				}
				if whole, ok := p.Spec.Resources.Requests[corev1.ResourceCPU]; ok && whole.Cmp(cpu) < 0 {
					t.Errorf("the whole pod requests %s of cpu, its container %s", &whole, &cpu)
				}
			})
		}
	}
}
