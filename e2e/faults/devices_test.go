//go:build faults

package faults

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/soak/judge"
)

// classes are the DeviceClasses in the place of resources where pods are bound late.
var classes = map[string]string{gpu: "gpu.heteroaccel.io", stick: "npu.heteroaccel.io"}

// holdByClaims creates a template of claims, called as its class, for the pods of hold.
func (x *site) holdByClaims(t *testing.T) {
	t.Helper()
	for _, class := range classes {
		template := &resourcev1.ResourceClaimTemplate{ObjectMeta: metav1.ObjectMeta{Name: class, Namespace: ns}}
		template.Spec.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "device", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class}}}
		if _, err := x.client.ResourceV1().ResourceClaimTemplates(ns).Create(t.Context(), template, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// devicesStand says which pods of the load do not fit their devices, which devices were
// given out twice, and which pods wait beside an idle one.
func (x *site) devicesStand(ctx context.Context, pods []*corev1.Pod, nodes []corev1.Node) error {
	disagrees, err := x.disagrees(ctx, ns)
	if err != nil {
		return err
	}
	var wrong []error
	for _, p := range pods {
		if p.Labels[ownerLabel] != "" {
			wrong = append(wrong, disagrees(p))
		}
	}
	if x.late {
		claims, err := x.claims(ctx, ns)
		if err != nil {
			return err
		}
		for _, what := range append(claims.Twice(), claims.StuckBeside(pods, allowed)...) {
			wrong = append(wrong, errors.New(what))
		}
		return errors.Join(wrong...)
	}
	for _, what := range judge.Twice(nodes, pods) {
		wrong = append(wrong, errors.New(what))
	}
	for _, w := range judge.StuckBeside(pods, allowed, x.variants, nodes) {
		wrong = append(wrong, errors.New(w.String()))
	}
	return errors.Join(wrong...)
}

// disagrees is judge.Disagrees for pods of a namespace as they are bound.
func (x *site) disagrees(ctx context.Context, namespace string) (func(*corev1.Pod) error, error) {
	if !x.late {
		return func(p *corev1.Pod) error { return judge.Disagrees(p, "inference", x.variants) }, nil
	}
	claims, err := x.claims(ctx, namespace)
	return func(p *corev1.Pod) error { return claims.Disagrees(p, "inference", x.variants) }, err
}

// claims are those of a namespace as they are now, and all devices.
func (x *site) claims(ctx context.Context, namespace string) (c judge.Claims, err error) {
	claims, err := x.client.ResourceV1().ResourceClaims(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return c, err
	}
	slices, err := x.client.ResourceV1().ResourceSlices().List(ctx, metav1.ListOptions{})
	if err != nil {
		return c, err
	}
	return judge.Claims{List: claims.Items, Slices: slices.Items}, nil
}
