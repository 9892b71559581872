package kube

import (
	"context"
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// keyLength is that of an HMAC-SHA-256 key, in bytes.
const keyLength = 32

// Key returns the key kept in a Secret, and makes it if there is none: all
// replicas, and every restart, get the same.
func Key(ctx context.Context, client kubernetes.Interface, namespace, name string) ([]byte, error) {
	const field = "key"
	secrets := client.CoreV1().Secrets(namespace)
	s, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		key := make([]byte, keyLength)
		rand.Read(key) // never fails, by its contract
		s, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Data:       map[string][]byte{field: key},
		}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) { // another replica was faster
			s, err = secrets.Get(ctx, name, metav1.GetOptions{})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("keep a key in secret %s/%s: %w", namespace, name, err)
	}
	if len(s.Data[field]) < keyLength {
		return nil, fmt.Errorf("secret %s/%s holds no key of %d bytes in %q: delete it, and a new one is made", namespace, name, keyLength, field)
	}
	return s.Data[field], nil
}
