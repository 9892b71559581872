package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"heteroaccel.io/e2e/process"
)

// startLimit is how long any one program may take to be ready; a slow machine
// with other work has needed 30 seconds.
const startLimit = 2 * time.Minute

// wait polls until ready returns nil. It gives up when ctx ends, when p (which
// may be nil) ends by itself, and after startLimit with ready's last error.
func (c *Cluster) wait(ctx context.Context, what string, p *Process, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errSlow)
	defer cancel()
	var died <-chan struct{}
	if p != nil {
		died = p.Done()
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-died:
			return p.Died()
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errSlow) {
				if p != nil {
					return fmt.Errorf("%s was not ready after %s: %w; the last lines of %s:\n%s", what, startLimit, err, p.Log(), process.Tail(p.Said(), 12))
				}
				return fmt.Errorf("%s was not ready after %s: %w", what, startLimit, err)
			}
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// errSlow is why wait's own limit ended its context.
var errSlow = errors.New("it took too long")

// nodeReady is nil for a node that is Ready and has lost the taint of before.
func nodeReady(n *corev1.Node) error {
	for _, taint := range n.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady {
			return errors.New("it has the taint " + taint.Key)
		}
	}
	for _, condition := range n.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return errors.New("it is not Ready")
}

// gone treats "not found" as success.
func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// lockedWriter lets goroutines report at the same time.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
