package recreate

import (
	"context"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/barepod"
	"heteroaccel.io/webhook/readmit/pending"
	"heteroaccel.io/webhook/readmit/podapi"
	"heteroaccel.io/webhook/replacement"
)

// recreateBare deletes a bare pod and creates it for a kind.
func (r *Recreator) recreateBare(ctx context.Context, p *pending.Pod, e *replacement.Expected, to accel.Kind) error {
	raw, pod, err := r.Pods.GetRaw(ctx, p.Key())
	if err == nil {
		err = r.same(pod, p)
	}
	if err != nil {
		return err
	}
	manifest, err := r.manifest(raw, pod)
	if err != nil {
		return err
	}
	// Nothing is deleted that could not be created: in a dry run the API server
	// must find nothing wrong but that the pod exists already.
	asked, err := annotated(manifest, accel.IntendedAnnotation, replacement.SealIntent(r.Keys(), p.Origin(), to))
	if err != nil {
		return err
	}
	answer := r.Pods.CreateRaw(ctx, p.Namespace, asked, true)
	if answer == nil {
		return podapi.ErrChanged
	}
	if err := r.answer(p.RefusalOwner(), pod, to, answer); err != nil {
		return err
	}
	return r.Bare.Recreate(ctx, barepod.Record{
		Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: pod.ResourceVersion,
		From: e.From, To: to, Count: e.Count, FirstAdmitted: e.FirstAdmitted, Pod: manifest,
	})
}
