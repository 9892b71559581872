package kube

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// keyLength is that of an HMAC-SHA-256 key, in bytes.
const keyLength = 32

// keyField is the field of the Secret that has the key.
const keyField = "key"

// Key returns the key in a Secret, and creates it if there is none: all replicas
// get the same one, after every restart too.
func Key(ctx context.Context, client kubernetes.Interface, namespace, name string) ([]byte, error) {
	secrets := client.CoreV1().Secrets(namespace)
	s, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		key := make([]byte, keyLength)
		rand.Read(key) // never fails, by its contract
		s, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Data:       map[string][]byte{keyField: key},
		}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) { // another replica was faster
			s, err = secrets.Get(ctx, name, metav1.GetOptions{})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read or create the key in secret %s/%s: %w", namespace, name, err)
	}
	return keyOf(s)
}

func keyOf(s *corev1.Secret) ([]byte, error) {
	if len(s.Data[keyField]) < keyLength {
		return nil, fmt.Errorf("secret %s/%s holds no key of %d bytes in %q: delete it, and a new one is created", s.Namespace, s.Name, keyLength, keyField)
	}
	return s.Data[keyField], nil
}

// SharedKey is the key of another program, which may be installed later and may
// replace the key: the Secret is read from time to time.
type SharedKey struct {
	client          kubernetes.Interface
	namespace, name string
	changed         func()
	log             zerolog.Logger
	key             atomic.Pointer[[]byte]
}

// NewSharedKey returns the key in a Secret of another program, nil until Run has
// read it. changed is called after each change of the key.
func NewSharedKey(client kubernetes.Interface, namespace, name string, changed func(), log zerolog.Logger) *SharedKey {
	return &SharedKey{client: client, namespace: namespace, name: name, changed: changed, log: log}
}

// Key is the key, nil while there is none.
func (k *SharedKey) Key() []byte {
	if key := k.key.Load(); key != nil {
		return *key
	}
	return nil
}

// Run reads the key until ctx ends: every second while there is none, and
// every half minute from then on.
func (k *SharedKey) Run(ctx context.Context) error {
	logged := ""
	for {
		pause := 30 * time.Second
		if err := k.read(ctx); err != nil {
			pause = time.Second
			if ctx.Err() == nil && err.Error() != logged {
				logged = err.Error()
				k.log.Warn().Err(err).Msg("the webhook's key cannot be read: until it can, no pod counts as admitted by HeteroAccel")
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (k *SharedKey) read(ctx context.Context) error {
	s, err := k.client.CoreV1().Secrets(k.namespace).Get(ctx, k.name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read secret %s/%s: %w", k.namespace, k.name, err)
	}
	key, err := keyOf(s)
	if err != nil {
		return err
	}
	if !bytes.Equal(key, k.Key()) {
		k.key.Store(&key)
		k.changed()
	}
	return nil
}
