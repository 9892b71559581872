package gather

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// canaryLabel is on every pod of ours, so that one that was left is found.
const canaryLabel = accel.Prefix + "check"

// nobody is an unknown inference.
const nobody = "heteroaccel-check-no-such-inference"

// pod asks for an inference on one of kinds. Nothing of it ever runs: its first
// container has an image that is nowhere and is not pulled. It is neither recreated
// nor, within its namespace, forbidden by PodSecurity.
func pod(namespace, inference, kinds string) *corev1.Pod {
	user := int64(65532)
	container := func(name, image string) corev1.Container {
		return corev1.Container{
			Name: name, Image: image, ImagePullPolicy: corev1.PullNever,
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "heteroaccel-check-", Namespace: namespace,
			Labels: map[string]string{canaryLabel: "canary"},
			Annotations: map[string]string{
				accel.InferenceAnnotation: inference, accel.AcceleratorAnnotation: kinds,
				accel.ContainerAnnotation: "inference", accel.ReadmissionAnnotation: "false",
			},
		},
		Spec: corev1.PodSpec{
			RestartPolicy:                corev1.RestartPolicyNever,
			AutomountServiceAccountToken: new(false),
			ActiveDeadlineSeconds:        new(int64(60)),
			InitContainers:               []corev1.Container{container("hold", "heteroaccel.invalid/check")},
			Containers:                   []corev1.Container{container("inference", "heteroaccel.invalid/check")},
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: &user,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		},
	}
}

// trials asks the API server, in dry runs, about a pod that must be given a kind and one
// that must be refused.
func (g *Gatherer) trials(ctx context.Context, c *check.Cluster) {
	c.Mutated.Err = fmt.Errorf("%w: there is no usable profile to ask for", check.ErrNotAsked)
	for _, p := range c.Profiles.Value {
		if _, err := profile.New(&p); err != nil {
			continue
		}
		c.Mutated = check.Read(g.try(ctx, pod(g.Namespace, p.Name, "any")))
		// A profile may be for other namespaces: then the next one is asked for.
		if c.Mutated.Err == nil || !check.Denied(c.Mutated.Err) {
			break
		}
	}
	c.Unknown = check.Read(g.try(ctx, pod(g.Namespace, nobody, "any")))
}

// try returns a pod as the API server would admit it, in a dry run.
func (g *Gatherer) try(ctx context.Context, p *corev1.Pod) (*corev1.Pod, error) {
	return g.client.CoreV1().Pods(g.Namespace).Create(ctx, p, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

// kindsOf are the kinds of a profile that need one device resource, by that.
func kindsOf(p v1alpha1.InferenceProfile) map[string]string {
	kinds := map[string]string{}
	for _, v := range p.Spec.Variants {
		resources := accel.DeviceResources(v.Limits)
		if len(resources) == 1 {
			kinds[resources[0]] = v.Accelerator
		}
	}
	return kinds
}
