package readmit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/replacement"
)

// recreate deletes a bare pod and creates it for a kind.
func (r *Readmitter) recreate(ctx context.Context, w *waiter, k *replacement.Expected, to accel.Kind) error {
	raw, pod, err := r.read(ctx, w)
	if err != nil {
		return err
	}
	manifest, err := r.manifest(raw, pod)
	if err != nil {
		return err
	}
	// Nothing is deleted that could not be created: the API server is asked
	// first, and must find nothing wrong but that the pod is there already.
	asked, err := annotated(manifest, accel.IntendedAnnotation, replacement.SealIntent(r.Key, w.origin(), to))
	if err != nil {
		return err
	}
	answer := r.create(ctx, w.namespace, asked, true)
	if answer == nil {
		return errLost
	}
	if err := r.verdict(w, pod, to, answer); err != nil {
		return err
	}
	content, err := json.Marshal(record{w.namespace, w.name, w.uid, pod.ResourceVersion, k.From, to, k.Count, manifest})
	if err != nil {
		return fmt.Errorf("encode the record of a pod: %w", err)
	}
	if len(content) > largestRecord {
		return refusal{fmt.Sprintf("its manifest has %d KiB, and %d can be kept safe while it is recreated", len(content)>>10, largestRecord>>10)}
	}
	slot, ok := r.takeSlot(w.namespace)
	if !ok {
		return errNoSlot
	}
	kept, err := r.keep(ctx, slot, content)
	if err != nil {
		// It may be there all the same.
		r.tasks.Go(func() { r.resume(ctx, slot) })
		return err
	}
	return r.finish(ctx, kept, true)
}

// read returns a pod as the API server has it, field for field: fields newer
// than our types must not be lost.
func (r *Readmitter) read(ctx context.Context, w *waiter) ([]byte, *corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	raw, err := r.Client.CoreV1().RESTClient().Get().SetHeader("Accept", "application/json").
		Namespace(w.namespace).Resource("pods").Name(w.name).DoRaw(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("look at the pod: %w", err)
	}
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		return nil, nil, fmt.Errorf("decode the pod: %w", err)
	}
	return raw, &pod, r.same(&pod, w)
}

// create creates a pod from its manifest, or asks whether that could be done.
func (r *Readmitter) create(ctx context.Context, namespace string, manifest []byte, dryRun bool) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req := r.Client.CoreV1().RESTClient().Post().SetHeader("Accept", "application/json").SetHeader("Content-Type", "application/json").
		Namespace(namespace).Resource("pods").Body(manifest)
	if dryRun {
		req = req.Param("dryRun", metav1.DryRunAll)
	}
	// Not DoRaw, which leaves the API server's own words in the body.
	if err := req.Do(ctx).Error(); err != nil {
		return fmt.Errorf("create the pod: %w", err)
	}
	return nil
}

// untilDone tries again, with longer and longer pauses, until do succeeds or
// ctx ends.
func (r *Readmitter) untilDone(ctx context.Context, what string, do func(context.Context) error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 30*time.Second) {
		call, cancel := context.WithTimeout(ctx, callLimit)
		err := do(call)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		r.Log.Warn().Err(err).Dur("again in", wait).Msg(what)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// definite reports whether the API server answered: without an answer the
// call may have been carried out, or may still be.
func definite(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError && status.Status().Code != http.StatusTooManyRequests
}
