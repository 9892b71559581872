package claim

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
)

// dryRun asks whether the API server would carry out a call.
var dryRun = []string{metav1.DryRunAll}

// claims are the ResourceClaims of a pod's namespace.
func (c *Claimer) claims(p *pending.Pod) claimAPI { return claimAPI{c.Pods, p.Namespace} }

// claimAPI calls the API server about the claims of a namespace, each call for at most
// podapi.CallLimit.
type claimAPI struct {
	*podapi.Client
	namespace string
}

// create creates a claim; dry is nil, or dryRun.
func (a claimAPI) create(ctx context.Context, claim *resourcev1.ResourceClaim, dry []string) error {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	_, err := a.ResourceV1().ResourceClaims(a.namespace).Create(ctx, claim, metav1.CreateOptions{DryRun: dry})
	return err
}

func (a claimAPI) get(ctx context.Context, name string) (*resourcev1.ResourceClaim, error) {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	return a.ResourceV1().ResourceClaims(a.namespace).Get(ctx, name, metav1.GetOptions{})
}

// remove deletes a claim as it was looked at.
func (a claimAPI) remove(ctx context.Context, claim *resourcev1.ResourceClaim) error {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	return a.ResourceV1().ResourceClaims(a.namespace).Delete(ctx, claim.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &claim.UID, ResourceVersion: &claim.ResourceVersion},
	})
}

// rewrite gives a pod, as it was looked at, the image and annotations of an amendment, and
// returns it as it is then. dry is nil, or dryRun.
func (c *Claimer) rewrite(ctx context.Context, pod *corev1.Pod, a *amendment, dry []string) (*corev1.Pod, error) {
	if a.Image == "" && a.Annotations == nil {
		return pod, nil
	}
	patch := map[string]any{"metadata": map[string]any{"annotations": a.Annotations}}
	if a.Image != "" {
		patch["spec"] = containers(a.container, a.init, map[string]any{"image": a.Image})
	}
	return c.patch(ctx, pod, patch, dry)
}

// resize gives a container of a pod, as it was looked at, other amounts.
func (c *Claimer) resize(ctx context.Context, pod *corev1.Pod, container string, init bool, to *corev1.ResourceRequirements, dry []string) error {
	patch := map[string]any{"spec": containers(container, init, map[string]any{"resources": to})}
	if _, err := c.patch(ctx, pod, patch, dry, "resize"); err != nil {
		return fmt.Errorf("resize the pod: %w", err)
	}
	return nil
}

// containers is the part of a patch about one container.
func containers(name string, init bool, of map[string]any) map[string]any {
	of["name"] = name
	list := "containers"
	if init {
		list = "initContainers"
	}
	return map[string]any{list: []any{of}}
}

// patch changes a pod as it was looked at.
func (c *Claimer) patch(ctx context.Context, pod *corev1.Pod, patch map[string]any, dry []string, subresource ...string) (*corev1.Pod, error) {
	metadata, _ := patch["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		patch["metadata"] = metadata
	}
	metadata["uid"], metadata["resourceVersion"] = pod.UID, pod.ResourceVersion
	encoded, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encode the change of a pod: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	return c.Pods.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, encoded, metav1.PatchOptions{DryRun: dry}, subresource...)
}
