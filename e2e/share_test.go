package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// shared is one test of several on the same cluster. It finds and leaves it
// with no pods, all nodes in order and every program running.
type shared struct {
	name string
	run  func(*testing.T, *stack.Stack)
}

// runShared runs tests one after another on one cluster.
func runShared(t *testing.T, s *stack.Stack, tests []shared) {
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			defer tidy(t, s)
			tc.run(t, s)
		})
	}
}

// tidy deletes what a test created, and waits until the webhook's inventory
// has noticed.
func tidy(t *testing.T, s *stack.Stack) {
	t.Helper()
	if err := cleanUp(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func cleanUp(ctx context.Context, s *stack.Stack) error {
	now, background := int64(0), metav1.DeletePropagationBackground
	opts := metav1.DeleteOptions{GracePeriodSeconds: &now, PropagationPolicy: &background}
	everything := metav1.ListOptions{}
	err := await(ctx, func(ctx context.Context) error {
		pods, err := s.Client().CoreV1().Pods(metav1.NamespaceAll).List(ctx, everything)
		if err != nil {
			return err
		}
		namespaces := map[string]bool{metav1.NamespaceDefault: true}
		for _, p := range pods.Items {
			namespaces[p.Namespace] = true
		}
		for ns := range namespaces {
			for _, remove := range []func(context.Context, metav1.DeleteOptions, metav1.ListOptions) error{
				s.Client().AppsV1().Deployments(ns).DeleteCollection,
				s.Client().AppsV1().StatefulSets(ns).DeleteCollection,
				s.Client().BatchV1().Jobs(ns).DeleteCollection,
				s.Client().CoreV1().Pods(ns).DeleteCollection,
			} {
				if err := remove(ctx, opts, everything); err != nil {
					return err
				}
			}
		}
		if n := len(pods.Items); n > 0 {
			return fmt.Errorf("%d pods are still there", n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return awaitIdle(ctx, s)
}

// awaitIdle waits until the webhook counts every device and core as idle. That
// a dry run fails, with every program running, is an error at once.
func awaitIdle(ctx context.Context, s *stack.Stack) error {
	var failed error
	err := await(ctx, func(ctx context.Context) error {
		for _, k := range kindsOf(s) {
			p, err := would(ctx, s, anyPod("", "face-recognition", k))
			if err != nil && ctx.Err() == nil {
				failed = fmt.Errorf("with every program running a dry run fails: %w", err)
				return nil
			}
			if err != nil {
				return err
			}
			var idle, total int
			if _, err := fmt.Sscanf(reason(p), k+" is free (%d of %d)", &idle, &total); err != nil || idle != total {
				return fmt.Errorf("not all of %s is idle: %s", k, reason(p))
			}
		}
		return reserved(ctx, s, 0)
	})
	return cmp.Or(failed, err)
}

// kindsOf are the kinds that the nodes of an installation have.
func kindsOf(s *stack.Stack) []string {
	kinds := []string{"CPU"}
	for _, m := range s.Machines {
		for _, d := range m.Devices {
			if k := string(d.Kind); !slices.Contains(kinds, k) {
				kinds = append(kinds, k)
			}
		}
	}
	return kinds
}

// reserved says when the webhook has not just so many reservations.
func reserved(ctx context.Context, s *stack.Stack, want float64) error {
	got, err := metric(ctx, s, "heteroaccel_webhook_reservations")
	if err == nil && got != want {
		err = fmt.Errorf("%v reservations are live, want %v", got, want)
	}
	return err
}

// would returns what a pod would become if it were created: a dry run. It
// needs no name.
func would(ctx context.Context, s *stack.Stack, p *corev1.Pod) (*corev1.Pod, error) {
	if p.Name == "" {
		p.GenerateName = "probe-"
	}
	return s.Client().CoreV1().Pods(p.Namespace).Create(ctx, p, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

// eventuallyWould waits until the webhook would give a pod a kind: then its
// inventory knows what was changed.
func eventuallyWould(t *testing.T, s *stack.Stack, p *corev1.Pod, want string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		got, err := would(ctx, s, p.DeepCopy())
		if err == nil && kind(got) != want {
			err = fmt.Errorf("the pod would get %s, want %s: %s", kind(got), want, reason(got))
		}
		return err
	})
}

// namespace makes a namespace that takes pods.
func namespace(t *testing.T, s *stack.Stack, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := s.Client().CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create namespace %s: %v", name, err)
	}
	takesPods(t, s, name)
}

// takesPods waits for the service account that every pod needs.
func takesPods(t *testing.T, s *stack.Stack, namespace string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		_, err := s.Client().CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// manifest is a pod as kubectl takes it.
func manifest(t *testing.T, p *corev1.Pod) string {
	t.Helper()
	p = p.DeepCopy()
	p.APIVersion, p.Kind = "v1", "Pod"
	doc, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// kubectl runs a command that must succeed.
func kubectl(t *testing.T, s *stack.Stack, args ...string) string {
	t.Helper()
	said, err := s.Kubectl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// podSays waits until the extender's page of a pod contains want, however its
// lines are broken.
func podSays(t *testing.T, s *stack.Stack, p *corev1.Pod, want string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		text, err := stack.Get(ctx, s.URL("extender", "/pods/"+p.Namespace+"/"+p.Name))
		if err == nil && !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			err = fmt.Errorf("/pods/%s/%s does not say %q:\n%s", p.Namespace, p.Name, want, text)
		}
		return err
	})
}

// withAnnotation sets an annotation; "" removes it.
func withAnnotation(key, value string) podOption {
	return func(p *corev1.Pod) {
		if value == "" {
			delete(p.Annotations, key)
			return
		}
		p.Annotations[key] = value
	}
}

// ours are the annotations that the webhook writes.
var ours = []string{accel.SelectedAnnotation, accel.ReasonAnnotation, accel.ReservationAnnotation, accel.OriginalAnnotation}
