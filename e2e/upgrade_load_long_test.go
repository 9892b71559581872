//go:build long

package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// load creates Jobs, one after another, whose pods end soon.
type load struct {
	s      *stack.Stack
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	names   []string
	refused map[time.Time]string
}

func startLoad(t *testing.T, s *stack.Stack) *load {
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{s: s, cancel: cancel, refused: map[time.Time]string{}}
	l.work.Go(func() {
		for ctx.Err() == nil {
			name := fmt.Sprintf("load-%03d", len(l.names))
			pod := anyPod(name, "text-recognition", "cpu", withAnnotation(cluster.DurationAnnotation, "200ms"))
			job := jobOf(pod)
			// A client that does not try again, for the count.
			if _, err := would(context.WithoutCancel(ctx), s, pod.DeepCopy()); err != nil {
				l.note(err)
			}
			// One that has begun is waited for; the Job controller tries again.
			if _, err := s.Client().BatchV1().Jobs(job.Namespace).Create(context.WithoutCancel(ctx), job, metav1.CreateOptions{}); err != nil {
				l.note(err)
				continue
			}
			l.mu.Lock()
			l.names = append(l.names, name)
			l.mu.Unlock()
		}
	})
	t.Cleanup(func() { cancel(); l.work.Wait() })
	return l
}

func (l *load) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[time.Now()] = err.Error()
}

// more waits until so many more Jobs were created.
func (l *load) more(t *testing.T, n int) {
	t.Helper()
	sofar := func() int { l.mu.Lock(); defer l.mu.Unlock(); return len(l.names) }
	want := sofar() + n
	eventually(t, func(context.Context) error {
		if got := sofar(); got < want {
			return fmt.Errorf("%d of %d Jobs", got, want)
		}
		return nil
	})
}

// stop ends it, and checks that each Job ran once, and that nothing was refused once the
// programs had been replaced.
func (l *load) stop(t *testing.T, replaced time.Time) {
	t.Helper()
	l.cancel()
	l.work.Wait()
	t.Logf("%d Jobs, %d refusals", len(l.names), len(l.refused))
	for at, why := range l.refused {
		t.Logf("refused %s before all was replaced: %s", replaced.Sub(at).Round(time.Millisecond), why)
		if at.After(replaced.Add(time.Second)) {
			t.Errorf("refused %s after all was replaced: %s", at.Sub(replaced), why)
		}
	}
	eventually(t, func(ctx context.Context) error {
		for _, name := range l.names {
			job, err := l.s.Client().BatchV1().Jobs(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			pods, err := l.s.Client().CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + name})
			if err != nil {
				return err
			}
			if len(pods.Items) != 1 || job.Status.Succeeded != 1 || job.Status.Failed != 0 {
				return fmt.Errorf("job %s has %d pods, %d succeeded, %d failed", name, len(pods.Items), job.Status.Succeeded, job.Status.Failed)
			}
		}
		return nil
	})
}
