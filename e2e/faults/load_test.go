//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/pkg/accel"
)

const (
	inference = "face-recognition"
	gpu       = "gpu.intel.com/i915"
	stick     = "vpu.intel.com/hddl"
	ns        = metav1.NamespaceDefault
	// each is how many devices of each of the two kinds there are.
	each = 4
)

// sort is who owns the pods of a part of the load.
type sort string

const (
	bare       sort = "bare"
	job        sort = "job"
	deployment sort = "deployment"
)

// owner is a part of the load.
type owner struct {
	sort  sort
	name  string
	kinds string // what its pods may have
	pods  int
	// held is how long a pod runs, "" for until it is deleted.
	runs string
}

// template is that of its pods.
func (o owner) template() corev1.PodTemplateSpec {
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{ownerLabel: o.name},
			Annotations: map[string]string{
				accel.InferenceAnnotation: inference, accel.AcceleratorAnnotation: o.kinds,
			},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "inference", Image: "mine", Command: []string{"bash", "-c", "./run -d GPU && sleep 60"}}},
		},
	}
	if o.runs != "" {
		t.Annotations[cluster.DurationAnnotation] = o.runs
	}
	if o.sort == deployment {
		t.Spec.RestartPolicy = corev1.RestartPolicyAlways
	}
	return t
}

// create makes it, as a person would: again until it is there.
func (o owner) create(ctx context.Context, x *site) error {
	x.watch.Want(o.name, o.pods)
	meta, template, none := metav1.ObjectMeta{Name: o.name, Namespace: ns}, o.template(), metav1.CreateOptions{}
	return until(ctx, func(ctx context.Context) (err error) {
		switch o.sort {
		case bare:
			meta.Labels, meta.Annotations = template.Labels, template.Annotations
			_, err = x.client.CoreV1().Pods(ns).Create(ctx, &corev1.Pod{ObjectMeta: meta, Spec: template.Spec}, none)
		case job:
			_, err = x.client.BatchV1().Jobs(ns).Create(ctx, &batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{
				BackoffLimit: new(int32(0)), Template: template,
			}}, none)
		case deployment:
			_, err = x.client.AppsV1().Deployments(ns).Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
				Replicas: new(int32(o.pods)), Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template,
			}}, none)
		}
		if apierrors.IsAlreadyExists(err) { // the answer was lost
			return nil
		}
		return err
	})
}

// remove deletes it and its pods.
func (o owner) remove(ctx context.Context, x *site) error {
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), PropagationPolicy: &background}
	return until(ctx, func(ctx context.Context) (err error) {
		switch o.sort {
		case bare:
			err = x.client.CoreV1().Pods(ns).Delete(ctx, o.name, options)
		case job:
			err = x.client.BatchV1().Jobs(ns).Delete(ctx, o.name, options)
		case deployment:
			err = x.client.AppsV1().Deployments(ns).Delete(ctx, o.name, options)
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// all does something for several parts of the load at once.
func all(t *testing.T, owners []owner, do func(context.Context, owner) error) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	for _, o := range owners {
		group.Go(func() error { return do(ctx, o) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// sweep deletes what a wave that failed has left.
func (x *site) sweep(t *testing.T) {
	t.Helper()
	background := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), PropagationPolicy: &background}
	eventually(t, func(ctx context.Context) error {
		if x.empty(ctx) == nil {
			return nil
		}
		everything := metav1.ListOptions{}
		return errors.Join(
			x.client.AppsV1().Deployments(ns).DeleteCollection(ctx, options, everything),
			x.client.BatchV1().Jobs(ns).DeleteCollection(ctx, options, everything),
			x.client.CoreV1().Pods(ns).DeleteCollection(ctx, options, everything), x.empty(ctx))
	})
}

// holder is a plain pod that holds a device of a resource, or of the DeviceClass in its
// place.
func (x *site) holder(resourceName string) *corev1.Pod {
	short, _, _ := strings.Cut(resourceName, ".")
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "holds-" + short + "-", Namespace: ns},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "holds", Image: "plain"}}},
	}
	resources := &p.Spec.Containers[0].Resources
	if x.late {
		p.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "device", ResourceClaimTemplateName: new(classes[resourceName])}}
		resources.Claims = []corev1.ResourceClaim{{Name: "device"}}
	} else {
		resources.Limits = corev1.ResourceList{corev1.ResourceName(resourceName): resource.MustParse("1")}
	}
	return p
}

// hold has so many plain pods hold devices of a resource, and returns their names
// once they have them.
func (x *site) hold(t *testing.T, resourceName string, n int) (names []string) {
	t.Helper()
	for range n {
		p := x.holder(resourceName)
		var made *corev1.Pod
		eventually(t, func(ctx context.Context) (err error) {
			made, err = x.client.CoreV1().Pods(ns).Create(ctx, p, metav1.CreateOptions{})
			return err
		})
		names = append(names, made.Name)
	}
	eventually(t, func(ctx context.Context) error {
		for _, name := range names {
			p, err := x.client.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if p.Status.Phase != corev1.PodRunning {
				return fmt.Errorf("%s does not run: %v", name, p.Status.Conditions)
			}
		}
		return nil
	})
	return names
}

// free deletes a pod that holds a device.
func (x *site) free(t *testing.T, name string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		err := x.client.CoreV1().Pods(ns).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}
