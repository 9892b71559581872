//go:build cluster

package edge

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/e2e/realnodes"
	"heteroaccel.io/pkg/accel"
)

// shared is the cluster that the tests use in turn, each leaving it as it was.
var shared *Edge

func TestMain(m *testing.M) {
	os.Exit(func() int {
		e, err := Start(context.Background(), Config{Out: os.Stdout})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		shared = e
		code := m.Run()
		if err := e.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// eventually fails the test, with what the cluster looks like, unless try
// succeeds in time.
func eventually(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	if err := shared.Wait(t.Context(), try); err != nil {
		shared.Explain()
		t.Fatalf("%s: %v", what, err)
	}
}

// job makes a Job with one inference that runs for so many seconds, names no
// device that it gets, and may be placed anywhere but where kinds forbid.
func job(t *testing.T, name, inference, kinds string, seconds int) *batchv1.Job {
	t.Helper()
	retries := int32(3)
	program := strings.ReplaceAll(inference, "-", "_")
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: metav1.NamespaceDefault},
		Spec: batchv1.JobSpec{
			BackoffLimit: &retries,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
					accel.InferenceAnnotation: inference, accel.AcceleratorAnnotation: kinds,
				}},
				Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever,
					Containers: []corev1.Container{{
						Name: "inference", Image: "heteroaccel/" + inference,
						Command: []string{"bash", "-c", fmt.Sprintf("./%s -i cam0 -d GPU -t %d", program, seconds)},
					}},
				},
			},
		},
	}
	created, err := shared.Client().BatchV1().Jobs(j.Namespace).Create(t.Context(), j, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, name) })
	return created
}

// remove deletes a Job and waits until its pods are gone.
func remove(t *testing.T, name string) {
	ctx := context.Background()
	background := metav1.DeletePropagationForeground
	if err := shared.Client().BatchV1().Jobs(metav1.NamespaceDefault).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Error(err)
		return
	}
	err := shared.Wait(ctx, func(ctx context.Context) error {
		pods, err := podsOf(ctx, name)
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("%d pods of %s are left", len(pods), name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func podsOf(ctx context.Context, job string) ([]corev1.Pod, error) {
	list, err := shared.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// podIn waits until a Job's pod has reached one of the phases.
func podIn(t *testing.T, job string, phases ...corev1.PodPhase) (pod corev1.Pod) {
	t.Helper()
	eventually(t, job+" "+fmt.Sprint(phases), func(ctx context.Context) error {
		pods, err := podsOf(ctx, job)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if slices.Contains(phases, p.Status.Phase) {
				pod = p
				return nil
			}
		}
		return fmt.Errorf("its pods are %s", phasesOf(pods))
	})
	return pod
}

func phasesOf(pods []corev1.Pod) string {
	var out []string
	for _, p := range pods {
		out = append(out, fmt.Sprintf("%s %s %s on %q %s", p.Name, p.Annotations[accel.SelectedAnnotation], p.Status.Phase, p.Spec.NodeName, p.Status.Reason))
	}
	return strings.Join(out, "; ")
}

// succeeded waits until a Job is complete.
func succeeded(t *testing.T, name string) (done batchv1.Job) {
	t.Helper()
	eventually(t, "the end of "+name, func(ctx context.Context) error {
		j, err := shared.Client().BatchV1().Jobs(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if j.Status.Succeeded != 1 {
			pods, err := podsOf(ctx, name)
			return fmt.Errorf("it has not succeeded: %s (%v)", phasesOf(pods), err)
		}
		done = *j
		return nil
	})
	return done
}

func kindOf(p corev1.Pod) accel.Kind { return accel.Kind(p.Annotations[accel.SelectedAnnotation]) }

// nodeOf is where the devices of a kind are.
var nodeOf = map[accel.Kind]string{"GPU": "g", "FPGA": "f", "NPU": "n"}

// watchAllocations looks on during a test whether a device is ever held by more
// pods than it has slots, by what the API server says.
func watchAllocations(t *testing.T) {
	t.Helper()
	var (
		mu    sync.Mutex
		held  = map[string]map[string]bool{} // by node and resource, the pods
		worst = map[string]string{}
	)
	note := func(object any, gone bool) {
		if d, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = d.Obj
		}
		p, ok := object.(*corev1.Pod)
		if !ok || p.Spec.NodeName == "" {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		over := gone || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		for _, c := range p.Spec.Containers {
			for name := range c.Resources.Limits {
				if !slices.Contains(slices.Collect(maps.Values(realnodes.Resources)), name) {
					continue
				}
				key := p.Spec.NodeName + " " + string(name)
				if held[key] == nil {
					held[key] = map[string]bool{}
				}
				if over {
					delete(held[key], p.Name)
				} else {
					held[key][p.Name] = true
				}
				if len(held[key]) > 1 {
					worst[key] = fmt.Sprint(slices.Sorted(maps.Keys(held[key])))
				}
			}
		}
	}
	factory := informers.NewSharedInformerFactory(shared.Client(), 0)
	informer := factory.Core().V1().Pods().Informer()
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { note(o, false) }, UpdateFunc: func(_, o any) { note(o, false) }, DeleteFunc: func(o any) { note(o, true) },
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	t.Cleanup(func() {
		cancel()
		factory.Shutdown()
		for key, pods := range worst {
			t.Errorf("%s was held by several pods at once: %s", key, pods)
		}
	})
}

// The device plugin's pods, and what its log says of an allocation.
const (
	pluginLabel     = "app.kubernetes.io/name=accelerator-device-plugin"
	pluginAllocated = "allocated"
)

// since is for messages.
func since(begin time.Time) time.Duration { return time.Since(begin).Round(10 * time.Millisecond) }
