package main

import (
	"context"
	"fmt"

	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	lateInference = "late"
	gpuDriver     = "gpu.bench"
	claimTemplate = "by-hand"
	claimByHand   = "gpu"
)

// lateManifest is a profile whose pods are bound late, its DeviceClass, and what pods that
// are written by hand name to get such a device.
const lateManifest = `
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpu.bench}
spec:
  selectors: [{cel: {expression: "device.driver == 'gpu.bench'"}}]
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: by-hand, namespace: default}
spec:
  spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpu.bench}}]}}
---
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: late}
spec:
  container: inference
  binding: late
  variants:
  - {accelerator: GPU, image: "late:gpu", deviceClassName: gpu.bench, limits: {memory: 64Mi}, serviceTime: 1s}
`

// publish publishes so many GPUs of a node, as their driver would.
func (x *site) publish(ctx context.Context, node string, n int) error {
	in := &resourcev1.ResourceSlice{
		ObjectMeta: metav1.ObjectMeta{Name: node},
		Spec: resourcev1.ResourceSliceSpec{
			Driver: gpuDriver, NodeName: &node,
			Pool: resourcev1.ResourcePool{Name: node, Generation: 1, ResourceSliceCount: 1},
		},
	}
	for i := range n {
		in.Spec.Devices = append(in.Spec.Devices, resourcev1.Device{Name: fmt.Sprintf("gpu-%d", i)})
	}
	_, err := x.Client().ResourceV1().ResourceSlices().Create(ctx, in, metav1.CreateOptions{})
	return err
}
