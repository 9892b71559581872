// Package narrate tells people at a terminal what becomes of pods, and is the
// frame of the programs that do so.
//
// A cluster enters; lines on the standard output leave. It changes nothing but
// the pods of the examples it is told to create.
package narrate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
)

// stepLimit is far more than any step needs on a busy machine.
const stepLimit = 2 * time.Minute

// ErrShown is that what was shown is not what it should have been.
var ErrShown = errors.New("what it showed is not what it should have")

// New is a narrator of a cluster.
func New(c *cluster.Cluster) (Narrator, error) {
	root, err := cluster.Root()
	return Narrator{Cluster: c, Examples: filepath.Join(root, "deploy", "examples")}, err
}

// Narrator tells of the pods in a cluster's default namespace.
type Narrator struct {
	Cluster *cluster.Cluster
	// Examples is the directory of the manifests, deploy/examples.
	Examples string
}

// Create creates what an example names, as a user would.
func (n Narrator) Create(ctx context.Context, file string) error {
	fmt.Printf("$ kubectl create -f deploy/examples/%s\n", file)
	said, err := n.Cluster.Kubectl(ctx, "create", "-f", filepath.Join(n.Examples, file))
	fmt.Print(said)
	if err != nil {
		return fmt.Errorf("create %s: %w", file, err)
	}
	return nil
}

// Run creates the pods of an example, so many, and waits until they run.
func (n Narrator) Run(ctx context.Context, file string, number int) ([]corev1.Pod, error) {
	if err := n.Create(ctx, file); err != nil {
		return nil, err
	}
	return n.Follow(ctx, number, func(pods []corev1.Pod) bool { return Count(pods, corev1.PodRunning) == number })
}

// Remove deletes what is there of what files created, and waits until their pods are gone.
func (n Narrator) Remove(ctx context.Context, files ...string) error {
	for _, file := range files {
		if said, err := n.Cluster.Kubectl(ctx, "delete", "--ignore-not-found", "-f", filepath.Join(n.Examples, file)); err != nil {
			return fmt.Errorf("delete %s: %w: %s", file, err, said)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for {
		pods, err := n.Pods(ctx)
		if err != nil {
			return err
		}
		if len(pods) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the pods of %s to go: %w", strings.Join(files, ", "), context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Follow prints what becomes of so many pods until done says that is enough.
func (n Narrator) Follow(ctx context.Context, number int, done func([]corev1.Pod) bool) ([]corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	fmt.Println()
	fmt.Printf("%-7s %-28s %-9s %-6s %s\n", "AFTER", "POD", "STATUS", "KIND", "NODE")
	began, said := time.Now(), map[string]string{}
	for {
		pods, err := n.Pods(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			line := fmt.Sprintf("%-28s %-9s %-6s %s", p.Name, p.Status.Phase, kindOf(p), dash(p.Spec.NodeName))
			if said[p.Name] != line {
				said[p.Name] = line
				fmt.Printf("%-7s %s\n", time.Since(began).Round(10*time.Millisecond), line)
			}
		}
		if len(pods) == number && done(pods) {
			return pods, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: the pods did not get there: %w", ErrShown, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Pods lists the pods of the default namespace by name.
func (n Narrator) Pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := n.Cluster.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items, nil
}
