package recreate

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func forbid(message string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New(message))
}

// TestOnlyUntilGone: a quota that is full only because it still counts the pod
// before it excludes nothing.
func TestOnlyUntilGone(t *testing.T) {
	old := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("1Gi"), "gpu.intel.com/i915": resource.MustParse("1")},
		Limits:   corev1.ResourceList{"cpu": resource.MustParse("3")},
	}}}}}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"its place among pods":     {forbid("exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5"), true},
		"as a count":               {forbid("exceeded quota: q, requested: count/pods=1, used: count/pods=5, limited: count/pods=5"), true},
		"its cores":                {forbid("exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=4, limited: requests.cpu=4"), true},
		"more cores than its own":  {forbid("exceeded quota: q, requested: cpu=4, used: cpu=4, limited: cpu=4"), false},
		"some cores were left":     {forbid("exceeded quota: q, requested: cpu=4, used: cpu=3, limited: cpu=5"), true},
		"its limit":                {forbid("exceeded quota: q, requested: limits.cpu=3, used: limits.cpu=3, limited: limits.cpu=3"), true},
		"its device":               {forbid("exceeded quota: q, requested: requests.gpu.intel.com/i915=1, used: requests.gpu.intel.com/i915=1, limited: requests.gpu.intel.com/i915=1"), true},
		"a device it has not":      {forbid("exceeded quota: q, requested: requests.npu.intel.com/accel=1, used: requests.npu.intel.com/accel=0, limited: requests.npu.intel.com/accel=0"), false},
		"one of two amounts":       {forbid("exceeded quota: q, requested: memory=1Gi,requests.npu.intel.com/accel=1, used: memory=2Gi,requests.npu.intel.com/accel=1, limited: memory=2Gi,requests.npu.intel.com/accel=1"), false},
		"two quotas at once":       {forbid("exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5, exceeded quota: r, requested: x=1, used: x=0, limited: x=0"), false},
		"no quota's message":       {forbid("maximum cpu usage per Container is 1, but limit is 2"), false},
		"cut off":                  {forbid("exceeded quota: q, requested: pods=1, used: pods=5"), false},
		"no amounts":               {forbid("exceeded quota: q, requested: pods=many, used: pods=5, limited: pods=5"), false},
		"nothing over":             {forbid("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=5"), false},
		"not the API server's own": {errors.New("exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := onlyUntilGone(c.err, old); got != c.want {
				t.Errorf("%v: %v, want %v", c.err, got, c.want)
			}
		})
	}
}
