package kube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/pkg/record"
)

// KeySecret is the Secret, in the webhook's namespace, with the keys that seal the
// records. Each of its fields is a key; the last by name is the newest.
const KeySecret = "heteroaccel-webhook-key"

const (
	// keyInterval is how often the Secret is read: three times before a new key
	// seals. It is read every keyRetry while there is no key.
	keyInterval = record.Settle / 3
	keyRetry    = time.Second
	// keyTime is the form of the time in the name of a key that is created here.
	keyTime = "20060102T150405Z"
)

// Keys follows the Secret with the keys. Its methods may be called from any
// goroutine.
type Keys struct {
	client    kubernetes.Interface
	namespace string
	create    bool
	now       func() time.Time
	log       zerolog.Logger

	mu      sync.Mutex
	ring    record.Ring
	current *record.Keys
	err     error
	logged  string
}

// NewKeys returns the keys in a namespace's Secret, none until they were read.
// With create the Secret is created if there is none, by the first of several
// replicas: with the keys that are known here, so that deleting it loses nothing, or
// else with a new one.
func NewKeys(client kubernetes.Interface, namespace string, create bool, log zerolog.Logger) *Keys {
	return &Keys{client: client, namespace: namespace, create: create, now: time.Now, log: log, err: errors.New("the keys of the records have not been read yet")}
}

// Current are the keys as they are now, nil while there is none.
func (k *Keys) Current() *record.Keys {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current
}

// Err is what was wrong with the Secret when it was last read: a sentence that says
// what to do. The keys that were known before count meanwhile.
func (k *Keys) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err
}

// Names are the names in the Secret of the keys that count, the newest last.
func (k *Keys) Names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.ring.Stored()))
}

// Name is the name in the Secret of the key of an id, "" if it is not there.
func (k *Keys) Name(id string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ring.Name(id)
}

// Run reads the Secret until ctx ends, and calls changed each time that other keys
// verify than before.
func (k *Keys) Run(ctx context.Context, changed func()) error {
	for {
		if k.Read(ctx) {
			changed()
		}
		pause := keyInterval
		if k.Current() == nil {
			pause = keyRetry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// Wait reads the Secret until there is a key or ctx ends, whose error it returns
// then. report is called with what is wrong.
func (k *Keys) Wait(ctx context.Context, report func(error)) error {
	for {
		k.Read(ctx)
		if k.Current() != nil {
			return nil
		}
		report(k.Err())
		select {
		case <-ctx.Done():
			return k.Err()
		case <-time.After(keyRetry):
		}
	}
}

// Read reads the Secret once, and reports whether other keys verify than before. What
// is wrong is logged once, and stays in Err.
func (k *Keys) Read(ctx context.Context) (changed bool) {
	secret, err := k.get(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.current
	if err == nil {
		if err = k.ring.Set(secret.Data, k.now()); err != nil {
			err = fmt.Errorf("secret %s/%s: %w. Restore it from a backup, or remove what is wrong: see docs/keys.md", k.namespace, KeySecret, err)
		}
	}
	k.current = k.ring.Keys(k.now())
	k.err = err
	k.report(ctx, before)
	return !before.Same(k.current)
}

// report logs a problem that is new, its end, and a key that begins to seal. It
// expects the lock.
func (k *Keys) report(ctx context.Context, before *record.Keys) {
	text := ""
	if k.err != nil {
		text = k.err.Error()
	}
	switch {
	case ctx.Err() != nil:
		return
	case text != "" && text != k.logged && k.current != nil:
		k.log.Error().Err(k.err).Msg("the keys of the records cannot be read: those known here count on")
	case text != "" && text != k.logged:
		k.log.Error().Err(k.err).Msg("waiting for the keys of the records: until there is one, no pod counts as admitted by HeteroAccel")
	case text == "" && k.logged != "":
		k.log.Info().Msg("the keys of the records were read again")
	}
	k.logged = text
	if id := k.current.Sealing(); id != before.Sealing() {
		k.log.Info().Str("key", k.ring.Name(id)).Str("id", id).Msg("this key seals the records from now on")
	}
}

func (k *Keys) get(ctx context.Context) (*corev1.Secret, error) {
	secrets := k.client.CoreV1().Secrets(k.namespace)
	s, err := secrets.Get(ctx, KeySecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && k.create {
		s, err = secrets.Create(ctx, k.secret(), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) { // another replica was faster
			s, err = secrets.Get(ctx, KeySecret, metav1.GetOptions{})
		} else if err == nil {
			k.log.Warn().Str("secret", k.namespace+"/"+KeySecret).Int("keys", len(s.Data)).Msg("there was no Secret with the keys of the records: created it")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the keys of the records in secret %s/%s: %w", k.namespace, KeySecret, err)
	}
	return s, nil
}

// secret is what is created: it has the keys that are known, or else a new one.
func (k *Keys) secret() *corev1.Secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	data := k.ring.Stored()
	if len(data) == 0 {
		secret := make([]byte, 32)
		rand.Read(secret) // never fails, by its contract
		data = map[string][]byte{"key-" + k.now().UTC().Format(keyTime): secret}
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: KeySecret}, Data: data}
}
