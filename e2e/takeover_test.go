//go:build long

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// TestTakeover: of two replicas the one that decides is killed during a burst
// of 500 requests, while 100 devices free that are waited for by the wrong
// pods. Every request runs exactly once, and no device is given out twice.
func TestTakeover(t *testing.T) {
	const (
		jobs, bare = 250, 250
		nodes      = 5   // with ten devices of two kinds each
		early      = 100 // come before the first device frees, and wait for either kind
		killAt     = 20  // devices that have freed
		second     = "webhook-2"
	)
	s := start(t, stack.Config{Race: true, Machines: machine.Fleet(nodes, machine.Shape{GPUs: 10, Sticks: 10, Cores: 16})})
	if err := s.StartReplica(second); err != nil {
		t.Fatal(err)
	}
	// It forwards to the one that leads, and holds what comes while none does.
	if err := s.Register(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	var held []*corev1.Pod
	for _, resource := range []string{gpuResource, stickResource} {
		for range 10 * nodes {
			held = append(held, create(t, s, holder(resource)))
		}
	}
	for _, p := range held {
		running(t, s, p)
	}
	seen := watchRuns(t, s)

	begun := time.Now()
	var who []string
	asked, created := make(chan func(context.Context) error), make(chan struct{}, jobs+bare)
	group, ctx := errgroup.WithContext(t.Context())
	for range 16 {
		group.Go(func() error {
			for try := range asked {
				if err := untilCreated(ctx, try); err != nil {
					return err
				}
				created <- struct{}{}
			}
			return nil
		})
	}
	for i := range jobs {
		who = append(who, fmt.Sprintf("job-%03d", i), fmt.Sprintf("bare-%03d", i))
	}
	group.Go(func() error {
		defer close(asked)
		for i, name := range who {
			pod := waitingPod(name, withAnnotation(cluster.DurationAnnotation, "200ms"))
			if i >= early {
				pod.Annotations[accel.AcceleratorAnnotation] = "npu"
			}
			try := func(ctx context.Context) error {
				_, err := s.Client().CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
				return err
			}
			if i%2 == 0 {
				job := jobOf(pod)
				try = func(ctx context.Context) error {
					_, err := s.Client().BatchV1().Jobs(job.Namespace).Create(ctx, job, metav1.CreateOptions{})
					return err
				}
			}
			select {
			case asked <- try:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	// Devices free all the while, the GPUs first: of those that came early, who
	// waits for an NPU runs only if it is recreated.
	group.Go(func() error {
		for i, p := range held {
			want := (jobs + bare - early) / len(held)
			if i == 0 {
				want = early
			}
			for range want {
				select {
				case <-created:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			switch i {
			case killAt:
				s.Process("webhook").Kill()
			case len(held) / 2: // all GPUs are free, and no NPU
				if err := await(ctx, func(ctx context.Context) error { return earlyDone(ctx, s, early) }); err != nil {
					return err
				}
			}
			now := int64(0)
			if err := s.Client().CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
				return fmt.Errorf("free a device: %w", err)
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("all were created after %s", time.Since(begun).Round(time.Millisecond))
	eventually(t, func(ctx context.Context) error { return errors.Join(allDone(ctx, s, len(who)), nothingLeft(ctx, s)) })
	t.Logf("all have ended after %s", time.Since(begun).Round(time.Millisecond))
	seen.once(t, who)
	pods, err := waits(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	again, onNPU, by := 0, 0, map[string]string{}
	for _, p := range pods {
		id := p.Annotations[accel.ReservationAnnotation]
		if other := by[id]; other != "" {
			t.Errorf("%s and %s carry the same reservation", p.Name, other)
		}
		by[id] = p.Name
		if p.Annotations[accel.ReadmissionsAnnotation] != "" {
			again++
		}
		if kind(&p) == "NPU" {
			onNPU++
		}
	}
	t.Logf("%d of %d pods had been recreated, %d ran on an NPU, %d were cut short", again, len(pods), onNPU, len(seen.cut))
	if again < early/10 {
		t.Error("too few were recreated: it proves nothing")
	}
}

// jobOf is a Job of one pod that must not fail.
func jobOf(p *corev1.Pod) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: p.Labels, Annotations: p.Annotations}, Spec: p.Spec,
			},
		},
	}
}

// earlyDone checks that so many pods that may have either kind have succeeded.
func earlyDone(ctx context.Context, s *stack.Stack, want int) error {
	pods, err := waits(ctx, s)
	if err != nil {
		return err
	}
	done := 0
	for _, p := range pods {
		if p.Annotations[accel.AcceleratorAnnotation] != "npu" && p.Status.Phase == corev1.PodSucceeded {
			done++
		}
	}
	if done != want {
		return fmt.Errorf("%d of the %d that came early are done", done, want)
	}
	return nil
}

// allDone checks that so many pods have succeeded and are all there is, and
// that no Job counts a failure.
func allDone(ctx context.Context, s *stack.Stack, want int) error {
	pods, err := waits(ctx, s)
	if err != nil {
		return err
	}
	done := 0
	for _, p := range pods {
		if p.Status.Phase == corev1.PodSucceeded {
			done++
		}
	}
	jobs, err := s.Client().BatchV1().Jobs(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, j := range jobs.Items {
		if j.Status.Failed > 0 {
			return fmt.Errorf("job %s counts %d failed pods", j.Name, j.Status.Failed)
		}
		if j.Status.Succeeded != 1 {
			err = fmt.Errorf("job %s counts %d pods that succeeded", j.Name, j.Status.Succeeded)
		}
	}
	if done != want || len(pods) != want {
		err = fmt.Errorf("%d of %d pods are done, want %d", done, len(pods), want)
	}
	return err
}
