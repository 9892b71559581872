//go:build long

package e2e

import (
	"context"
	"fmt"
	"testing"

	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/stack"
)

// marker is a claim of nobody's.
const marker = "marker"

// misses calls a function during which the watches may break. Then it waits until they
// have caught up: what is listed anew comes in any order, but before what follows.
func (w *claimWatch) misses(t *testing.T, s *stack.Stack, during func()) {
	t.Helper()
	w.setUnsure(true)
	during()
	claims := s.Client().ResourceV1().ResourceClaims(metav1.NamespaceDefault)
	eventually(t, func(ctx context.Context) error {
		claim := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Name: marker}}
		claim.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Name: "gpu", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu.test"}}}
		_, err := claims.Create(ctx, claim, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	w.isMarked(t, true)
	if err := claims.Delete(t.Context(), marker, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.isMarked(t, false)
	w.setUnsure(false)
	w.settle(t, s)
}

func (w *claimWatch) setUnsure(unsure bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unsure = unsure
}

func (w *claimWatch) isMarked(t *testing.T, want bool) {
	t.Helper()
	eventually(t, func(context.Context) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.marked != want {
			return fmt.Errorf("that claim %s is there is seen: %t", marker, w.marked)
		}
		return nil
	})
}

// settle clears the doubts: a device has two claims if both have it in one list.
func (w *claimWatch) settle(t *testing.T, s *stack.Stack) {
	t.Helper()
	list, err := s.Client().ResourceV1().ResourceClaims(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	has := map[[2]string]bool{}
	for _, c := range list.Items {
		if c.Status.Allocation != nil {
			for _, r := range c.Status.Allocation.Devices.Results {
				has[[2]string{c.Name, r.Pool + "/" + r.Device}] = true
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t.Logf("%d devices were seen with their next claim first", len(w.doubts))
	for device, claims := range w.doubts {
		if has[[2]string{claims[0], device}] && has[[2]string{claims[1], device}] {
			w.wrong = append(w.wrong, fmt.Sprintf("%s has %s and %s", device, claims[0], claims[1]))
		}
	}
}
