package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// claiming is a pod with a claim of a class, which is created for it.
func claiming(t *testing.T, s *stack.Stack, name, class string) *corev1.Pod {
	t.Helper()
	claim := &resourceapi.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: resourceapi.ResourceClaimSpec{
		Devices: resourceapi.DeviceClaim{Requests: []resourceapi.DeviceRequest{{Name: "device", Exactly: &resourceapi.ExactDeviceRequest{DeviceClassName: class}}}},
	}}
	if _, err := s.Client().ResourceV1().ResourceClaims("default").Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := plainPod(name, onNodes(corev1.LabelHostname, driven), func(p *corev1.Pod) {
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "accelerator", ResourceClaimName: &name}}
		p.Spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: "accelerator"}}
	})
	pod, err := s.Client().CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
		err := errors.Join(s.Client().CoreV1().Pods("default").Delete(context.Background(), name, now),
			s.Client().ResourceV1().ResourceClaims("default").Delete(context.Background(), name, now))
		if err != nil {
			t.Error(err)
		}
	})
	return pod
}

// podsGetDevices: one claim has the NPU, four have the GPU, and the CPU is for all.
func podsGetDevices(t *testing.T, s *stack.Stack) {
	for class, most := range map[string]int{"npu": 1, "gpu": 4, "cpu": 6} {
		count := most
		if class != "cpu" {
			count++ // one more than it has room for
		}
		for i := range count {
			claiming(t, s, fmt.Sprintf("%s-%d", class, i), class+".heteroaccel.io")
		}
		eventually(t, func(ctx context.Context) error {
			bound, waits := 0, 0
			for i := range count {
				p, err := s.Client().CoreV1().Pods("default").Get(ctx, fmt.Sprintf("%s-%d", class, i), metav1.GetOptions{})
				if err != nil {
					return err
				}
				if p.Spec.NodeName == driven {
					bound++
				}
				for _, c := range p.Status.Conditions {
					if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable {
						waits++
					}
				}
			}
			if bound != most || waits != count-most {
				return fmt.Errorf("of %d pods for the %s %d are bound and %d wait, want %d and %d", count, class, bound, waits, most, count-most)
			}
			return nil
		})
	}
}

// exporterIsHeld: an exporter writes for its own node and driver alone.
func exporterIsHeld(t *testing.T, s *stack.Stack, own *rest.Config) {
	slice := func(node, driver string) *resourceapi.ResourceSlice {
		return &resourceapi.ResourceSlice{ObjectMeta: metav1.ObjectMeta{GenerateName: "try-"}, Spec: resourceapi.ResourceSliceSpec{
			Driver: driver, NodeName: &node, Pool: resourceapi.ResourcePool{Name: node, ResourceSliceCount: 1},
		}}
	}
	foreign, err := s.Client().ResourceV1().ResourceSlices().Create(t.Context(), slice("g", accel.DeviceDriver), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Client().ResourceV1().ResourceSlices().Delete(context.Background(), foreign.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	for name, tc := range map[string]struct {
		account *rest.Config
		write   func(kubernetes.Interface) error
		want    string // part of the refusal, "" for none
	}{
		"its own":        {own, creating(t, slice(driven, accel.DeviceDriver)), ""},
		"another node's": {own, creating(t, slice("g", accel.DeviceDriver)), "the exporter of node core-ultra writes no ResourceSlice of another node"},
		"of no node": {own, creating(t, &resourceapi.ResourceSlice{ObjectMeta: metav1.ObjectMeta{GenerateName: "try-"}, Spec: resourceapi.ResourceSliceSpec{
			Driver: accel.DeviceDriver, AllNodes: new(true), Pool: resourceapi.ResourcePool{Name: "x", ResourceSliceCount: 1},
		}}), "writes no ResourceSlice of another node"},
		"another driver's": {own, creating(t, slice(driven, "gpu.example.com")), "an exporter writes no ResourceSlice of another driver"},
		"removing another node's": {own, func(c kubernetes.Interface) error {
			return c.ResourceV1().ResourceSlices().Delete(t.Context(), foreign.Name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		}, "writes no ResourceSlice of another node"},
		"a token of no pod": {exporterAccount(t, s, ""), creating(t, slice(driven, accel.DeviceDriver)), "the exporter's token does not say on which node its pod runs"},
		"pods": {own, func(c kubernetes.Interface) error {
			_, err := c.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
			return err
		}, "forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := kubernetes.NewForConfig(tc.account)
			if err != nil {
				t.Fatal(err)
			}
			err = tc.write(client)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// creating is a dry run of creating a slice.
func creating(t *testing.T, slice *resourceapi.ResourceSlice) func(kubernetes.Interface) error {
	return func(c kubernetes.Interface) error {
		_, err := c.ResourceV1().ResourceSlices().Create(t.Context(), slice, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
}
