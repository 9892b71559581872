package barepod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/webhook/readmit/podapi"
)

// Record is all that is needed to recreate a bare pod. It is written before the
// pod is deleted, and says what to do from the start: every step can be repeated.
type Record struct {
	Namespace       string     `json:"namespace"`
	Name            string     `json:"name"`
	UID             types.UID  `json:"uid"`
	ResourceVersion string     `json:"resourceVersion"`
	From            accel.Kind `json:"from"`
	To              accel.Kind `json:"to"`
	Count           int        `json:"count"`
	// FirstAdmitted is when the first of the pods was admitted that the new one replaces;
	// zero in a record of an earlier version.
	FirstAdmitted time.Time       `json:"firstAdmitted,omitzero"`
	Pod           json.RawMessage `json:"pod"` // the manifest to create
}

func (r *Record) key() types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: r.Name}
}

const (
	// maxRecord is less than the 1 MiB a Secret may have.
	maxRecord   = 900 << 10
	recordField = "record"
	holderField = "holder"
	// recordsPerNamespace is how many records there may be of one namespace:
	// pods that the API server refuses for long must not keep those of others
	// from being recreated.
	recordsPerNamespace = 4
)

var errAllNamesTaken = errors.New("the maximum number of bare pods is being recreated already")

// errOtherReplica says that another replica has acquired a record.
var errOtherReplica = errors.New("another replica has acquired the record")

// store writes a record.
func (r *Recreator) store(ctx context.Context, name string, content []byte) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	stored, err := r.Pods.CoreV1().Secrets(r.Namespace).Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Type:       accel.Prefix + "readmission",
		Data:       map[string][]byte{recordField: content, holderField: []byte(r.holder)},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("store the pod's manifest in secret %s/%s: %w", r.Namespace, name, err)
	}
	return stored, nil
}

// acquire makes sure, by compare-and-swap, that nobody else has acquired the
// record since stored was read: a replica that was paused, and does not know yet
// that another leads, must not act on it. It returns the record as it is then.
func (r *Recreator) acquire(ctx context.Context, stored *corev1.Secret, tries int) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, podapi.CallLimit)
	defer cancel()
	mine := stored.DeepCopy()
	mine.Data[holderField] = fmt.Appendf(nil, "%s %d", r.holder, tries)
	acquired, err := r.Pods.CoreV1().Secrets(r.Namespace).Update(ctx, mine, metav1.UpdateOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, errOtherReplica
	case apierrors.IsConflict(err):
		return r.acquiredBefore(ctx, stored)
	case err != nil:
		return nil, fmt.Errorf("acquire the record in secret %s/%s: %w", r.Namespace, stored.Name, err)
	}
	return acquired, nil
}

// acquiredBefore tells a record that this process has acquired by a write whose answer
// was lost from one that another replica has.
func (r *Recreator) acquiredBefore(ctx context.Context, stored *corev1.Secret) (*corev1.Secret, error) {
	now, err := r.Pods.CoreV1().Secrets(r.Namespace).Get(ctx, stored.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, errOtherReplica
	case err != nil:
		return nil, fmt.Errorf("read the record in secret %s/%s: %w", r.Namespace, stored.Name, err)
	case now.UID == stored.UID && now.ResourceVersion == stored.ResourceVersion:
		return nil, fmt.Errorf("acquire the record in secret %s/%s: refused, and it has not changed", r.Namespace, stored.Name)
	case now.UID == stored.UID && strings.HasPrefix(string(now.Data[holderField]), r.holder+" "):
		return now, nil
	}
	return nil, errOtherReplica
}

// remove removes a record that is done with, however many tries it takes, and
// frees its name. One that another replica wrote meanwhile stays.
func (r *Recreator) remove(ctx context.Context, stored *corev1.Secret) {
	r.Pods.UntilDone(ctx, "remove the record of a recreated pod", func(ctx context.Context) error {
		err := r.Pods.CoreV1().Secrets(r.Namespace).Delete(ctx, stored.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(stored.UID))})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case apierrors.IsConflict(err):
			// Another's has another UID. If it is still this one the refusal was not
			// about the precondition, and nobody else would remove it.
			now, getErr := r.Pods.CoreV1().Secrets(r.Namespace).Get(ctx, stored.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(getErr) || getErr == nil && now.UID != stored.UID {
				return nil
			}
		}
		return err
	})
	if ctx.Err() == nil {
		r.withdrawRefused(ctx, stored.Name)
		r.freeName(stored.Name)
	}
}
