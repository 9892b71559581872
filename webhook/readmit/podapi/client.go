package podapi

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/pkg/accel"
)

const (
	// CallLimit bounds each call of the API server.
	CallLimit = 10 * time.Second
	// RequeuePause is how long a requeue has to help before the next: the extender
	// may know telemetry later than we do.
	RequeuePause = 2 * time.Second
)

// Client calls the API server. Its methods may be called from any goroutine.
type Client struct {
	kubernetes.Interface
	Log zerolog.Logger
}

// Get returns a pod as it is now.
func (c *Client) Get(ctx context.Context, name types.NamespacedName) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	pod, err := c.CoreV1().Pods(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get the pod: %w", err)
	}
	return pod, nil
}

// GetRaw returns a pod, and its JSON field for field: fields that are newer than
// our types must not be lost.
func (c *Client) GetRaw(ctx context.Context, name types.NamespacedName) ([]byte, *corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	raw, err := c.CoreV1().RESTClient().Get().SetHeader("Accept", "application/json").
		Namespace(name.Namespace).Resource("pods").Name(name.Name).DoRaw(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("get the pod: %w", err)
	}
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		return nil, nil, fmt.Errorf("decode the pod: %w", err)
	}
	return raw, &pod, nil
}

// Create creates a pod; with dryRun it asks whether the API server would.
func (c *Client) Create(ctx context.Context, pod *corev1.Pod, dryRun bool) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	var options metav1.CreateOptions
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return c.CoreV1().Pods(pod.Namespace).Create(ctx, pod, options)
}

// CreateRaw creates a pod from its JSON; with dryRun it asks whether the API
// server would.
func (c *Client) CreateRaw(ctx context.Context, namespace string, manifest []byte, dryRun bool) error {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	req := c.CoreV1().RESTClient().Post().SetHeader("Accept", "application/json").SetHeader("Content-Type", "application/json").
		Namespace(namespace).Resource("pods").Body(manifest)
	if dryRun {
		req = req.Param("dryRun", metav1.DryRunAll)
	}
	// Not DoRaw, which leaves the API server's message in the body.
	if err := req.Do(ctx).Error(); err != nil {
		return fmt.Errorf("create the pod: %w", err)
	}
	return nil
}

// Delete deletes a pod under preconditions.
func (c *Client) Delete(ctx context.Context, name types.NamespacedName, p metav1.Preconditions) error {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	if err := c.CoreV1().Pods(name.Namespace).Delete(ctx, name.Name, metav1.DeleteOptions{Preconditions: &p}); err != nil {
		return fmt.Errorf("delete the pod: %w", err)
	}
	return nil
}

// MayDisrupt asks the API server whether it would evict a pod, as its PodDisruptionBudgets
// allow. Nothing is evicted.
func (c *Client) MayDisrupt(ctx context.Context, pod *corev1.Pod) error {
	return c.evict(ctx, pod, metav1.Preconditions{UID: &pod.UID}, true)
}

// Evict evicts a pod that has not changed since, if its PodDisruptionBudgets allow it.
func (c *Client) Evict(ctx context.Context, pod *corev1.Pod) error {
	return c.evict(ctx, pod, metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion}, false)
}

func (c *Client) evict(ctx context.Context, pod *corev1.Pod, p metav1.Preconditions, dryRun bool) error {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	eviction := &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &p},
	}
	req := c.CoreV1().RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("eviction").Body(eviction)
	if dryRun {
		req = req.Param("dryRun", metav1.DryRunAll)
	}
	return req.Do(ctx).Error()
}

// Patch applies a merge patch to a pod.
func (c *Client) Patch(ctx context.Context, name types.NamespacedName, patch []byte) error {
	ctx, cancel := context.WithTimeout(ctx, CallLimit)
	defer cancel()
	_, err := c.CoreV1().Pods(name.Namespace).Patch(ctx, name.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// PatchMetadata patches the metadata of a pod that has not changed since.
func (c *Client) PatchMetadata(ctx context.Context, pod *corev1.Pod, metadata map[string]any) error {
	metadata["uid"], metadata["resourceVersion"] = pod.UID, pod.ResourceVersion
	patch, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return fmt.Errorf("encode the change of a pod: %w", err)
	}
	return c.Patch(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, patch)
}

// Requeue changes an annotation of a pod. That is an event for which
// kube-scheduler looks again at a pod that only an extender rejected.
func (c *Client) Requeue(ctx context.Context, name types.NamespacedName, uid types.UID, now time.Time) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":         uid,
		"annotations": map[string]string{accel.RetryAnnotation: now.UTC().Format(time.RFC3339Nano)},
	}})
	if err != nil {
		return fmt.Errorf("encode the annotation: %w", err)
	}
	if err := c.Patch(ctx, name, patch); err != nil {
		return fmt.Errorf("annotate the pod: %w", err)
	}
	return nil
}

// UntilDone repeats do, after longer and longer pauses, until it succeeds or ctx
// ends. what names it in the log.
func (c *Client) UntilDone(ctx context.Context, what string, do func(context.Context) error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 30*time.Second) {
		call, cancel := context.WithTimeout(ctx, CallLimit)
		err := do(call)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		c.Log.Warn().Err(err).Dur("retry_in", wait).Msg(what)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
