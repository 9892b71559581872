package readmit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/barepod"
)

// record is all that is needed to finish what was begun with a bare pod. It
// is written before the pod is touched, and says what to do from the start:
// every step can be done again.
type record struct {
	Namespace       string          `json:"namespace"`
	Name            string          `json:"name"`
	UID             types.UID       `json:"uid"`
	ResourceVersion string          `json:"resourceVersion"`
	From            accel.Kind      `json:"from"`
	To              accel.Kind      `json:"to"`
	Count           int             `json:"count"`
	Pod             json.RawMessage `json:"pod"` // the manifest to create
}

const (
	// largestRecord is less than the 1 MiB a Secret may have.
	largestRecord = 900 << 10
	recordField   = "record"
	holderField   = "holder"
	// recordsPerNamespace is how many records there may be of one namespace:
	// pods that the API server refuses for long must not keep those of others
	// from being recreated.
	recordsPerNamespace = 4
)

var errNoSlot = errors.New("as many bare pods as may be are being recreated already")

// errTaken says that another replica goes on with a record.
var errTaken = errors.New("another replica goes on with the record")

// keep writes a record.
func (r *Readmitter) keep(ctx context.Context, slot string, content []byte) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	kept, err := r.Client.CoreV1().Secrets(r.Namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: slot},
		Type:       accel.Prefix + "readmission",
		Data:       map[string][]byte{recordField: content, holderField: []byte(r.holder)},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("keep the pod's manifest in secret %s/%s: %w", r.Namespace, slot, err)
	}
	return kept, nil
}

// hold makes sure, by compare-and-swap, that nobody else has gone on with a
// record since kept was read: a replica that was paused, and does not know yet
// that another leads, must not act on it. It returns the record as it is then.
func (r *Readmitter) hold(ctx context.Context, kept *corev1.Secret, tries int) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	mine := kept.DeepCopy()
	mine.Data[holderField] = fmt.Appendf(nil, "%s %d", r.holder, tries)
	held, err := r.Client.CoreV1().Secrets(r.Namespace).Update(ctx, mine, metav1.UpdateOptions{})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return nil, errTaken
	case err != nil:
		return nil, fmt.Errorf("hold the record in secret %s/%s: %w", r.Namespace, kept.Name, err)
	}
	return held, nil
}

// forget removes a record that is of no more use, however often it takes, and
// frees its name. One that another replica wrote meanwhile stays.
func (r *Readmitter) forget(ctx context.Context, kept *corev1.Secret) {
	r.untilDone(ctx, "remove the record of a pod that was recreated", func(ctx context.Context) error {
		err := r.Client.CoreV1().Secrets(r.Namespace).Delete(ctx, kept.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(kept.UID))})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
	if ctx.Err() == nil {
		r.recreated(kept.Name)
		r.freeSlot(kept.Name)
	}
}

// takeSlot returns a name that is free, if a namespace may have one more.
func (r *Readmitter) takeSlot(namespace string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := 0
	for _, of := range r.slots {
		if of == namespace {
			taken++
		}
	}
	if taken >= recordsPerNamespace {
		return "", false
	}
	for _, slot := range barepod.RecordNames {
		if of, known := r.slots[slot]; known && of == "" {
			r.slots[slot] = namespace
			return slot, true
		}
	}
	return "", false
}

func (r *Readmitter) freeSlot(slot string) { r.occupy(slot, "") }

// occupy notes whose record a name is taken by.
func (r *Readmitter) occupy(slot, namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slots[slot] = namespace
}
