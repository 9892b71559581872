package kube

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"heteroaccel.io/pkg/record"
)

// keyRig is a cluster with one Secret, and a clock.
type keyRig struct {
	client *fake.Clientset
	now    time.Time
}

func newKeyRig() *keyRig {
	return &keyRig{client: fake.NewClientset(), now: time.Date(2026, 11, 26, 13, 15, 0, 0, time.UTC)}
}

// replica is a program that reads the keys, and what it logs.
func (r *keyRig) replica(create bool) (*Keys, *bytes.Buffer) {
	var log bytes.Buffer
	k := NewKeys(r.client, "ours", create, zerolog.New(&log))
	k.now = func() time.Time { return r.now }
	return k, &log
}

// set writes the Secret's fields.
func (r *keyRig) set(t *testing.T, data map[string][]byte) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ours", Name: KeySecret}, Data: data}
	if err := r.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("secrets"), secret, "ours"); err != nil {
		t.Fatal(err)
	}
}

// deleteSecret deletes the Secret.
func (r *keyRig) deleteSecret(t *testing.T) {
	t.Helper()
	if err := r.client.CoreV1().Secrets("ours").Delete(t.Context(), KeySecret, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (r *keyRig) stored(t *testing.T) map[string][]byte {
	t.Helper()
	s, err := r.client.CoreV1().Secrets("ours").Get(t.Context(), KeySecret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Data
}

// TestReplicasCreateOneKey: whoever is first, all seal with the same key.
func TestReplicasCreateOneKey(t *testing.T) {
	for range 50 {
		r := newKeyRig()
		replicas := make([]*Keys, 4)
		var all sync.WaitGroup
		for i := range replicas {
			replicas[i], _ = r.replica(true)
			all.Go(func() { replicas[i].Read(t.Context()) })
		}
		all.Wait()
		if n := len(r.stored(t)); n != 1 {
			t.Fatalf("%d keys were created", n)
		}
		for _, k := range replicas {
			if k.Err() != nil || !k.Current().Same(replicas[0].Current()) || k.Current() == nil {
				t.Fatalf("a replica has other keys: %v", k.Err())
			}
		}
	}
}

// TestRotationWithReplicas: while an operator rotates, what one program seals every
// other one verifies, whenever each of them reads within its interval.
func TestRotationWithReplicas(t *testing.T) {
	r := newKeyRig()
	early, _ := r.replica(true)
	late, _ := r.replica(true)
	reader, _ := r.replica(false)
	read := func(all ...*Keys) {
		for _, k := range all {
			k.Read(t.Context())
		}
	}
	check := func(when string, sealing string) {
		t.Helper()
		for _, by := range []*Keys{early, late} {
			sealed := record.Seal("content", by.Current(), "shop", "r")
			for _, k := range []*Keys{early, late, reader} {
				if _, ok := record.Unseal(sealed, k.Current(), "shop", "r"); !ok {
					t.Errorf("%s: a record of %s is not verified by all", when, by.Name(by.Current().Sealing()))
				}
			}
		}
		if got := early.Name(early.Current().Sealing()); got != sealing {
			t.Errorf("%s: %s seals, want %s", when, got, sealing)
		}
	}
	read(early, late, reader)
	const first, second = "key-20261126T131500Z", "key-20261126T141500Z"
	check("at the start", first)
	waiting := record.Seal("content", early.Current(), "shop", "r")

	data := r.stored(t)
	data[second] = bytes.Repeat([]byte{2}, 32)
	r.set(t, data)
	r.now = r.now.Add(time.Hour)
	read(early)
	check("one has read the new key", first)
	r.now = r.now.Add(keyInterval)
	read(early, late, reader)
	check("all have", first)
	r.now = r.now.Add(record.Settle - keyInterval)
	read(early)
	check("it seals on one", second)
	r.now = r.now.Add(keyInterval)
	read(early, late, reader)
	check("it seals on all", second)
	for _, k := range []*Keys{early, late, reader} {
		if _, ok := record.Unseal(waiting, k.Current(), "shop", "r"); !ok {
			t.Error("a pod that waits has lost its record")
		}
	}
}

// TestSecretLost: what each program has after something happened to the Secret.
func TestSecretLost(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(*testing.T, *keyRig)
		keeps   bool   // the webhook and the extender have the first key still
		back    bool   // so has the Secret
		err     string // part of what is wrong, in Err and in the log, "" for nothing
	}{
		"deleted": {func(t *testing.T, r *keyRig) { r.deleteSecret(t) }, true, true, ""},
		"deleted, and created by a replica that started then": {func(t *testing.T, r *keyRig) {
			r.deleteSecret(t)
			r.now = r.now.Add(time.Second)
			other, _ := r.replica(true)
			other.Read(t.Context())
		}, false, false, ""},
		"emptied":     {func(t *testing.T, r *keyRig) { r.set(t, nil) }, true, false, "secret ours/heteroaccel-webhook-key: it has no key. Restore"},
		"garbage":     {func(t *testing.T, r *keyRig) { r.set(t, map[string][]byte{"key": []byte("garbage")}) }, true, false, `"key" has 7 bytes. Restore`},
		"another key": {func(t *testing.T, r *keyRig) { r.set(t, map[string][]byte{"key": bytes.Repeat([]byte{5}, 32)}) }, false, false, ""},
		"unreadable": {func(_ *testing.T, r *keyRig) {
			r.client.PrependReactor("get", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, errors.New("the API server is away")
			})
		}, true, true, "the API server is away"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newKeyRig()
			webhook, log := r.replica(true)
			extender, _ := r.replica(false)
			webhook.Read(t.Context())
			extender.Read(t.Context())
			first, before := webhook.Current(), r.stored(t)
			tt.happens(t, r)
			for range 2 {
				webhook.Read(t.Context())
				extender.Read(t.Context())
			}
			for who, k := range map[string]*Keys{"webhook": webhook, "extender": extender} {
				if k.Current() == nil || k.Current().Has(first.Sealing()) != tt.keeps {
					t.Errorf("the %s has the first key: %v, want %v", who, !tt.keeps, tt.keeps)
				}
				if (k.Err() == nil) != (tt.err == "") || k.Err() != nil && !strings.Contains(k.Err().Error(), tt.err) {
					t.Errorf("%s: error %v, want one with %q", who, k.Err(), tt.err)
				}
			}
			if n := strings.Count(log.String(), `"level":"error"`); n != min(1, len(tt.err)) {
				t.Errorf("%d errors were logged:\n%s", n, log)
			}
			if name != "unreadable" {
				if back := cmp.Equal(before, r.stored(t)); back != tt.back {
					t.Errorf("the Secret is as before: %v, want %v", back, tt.back)
				}
			}
		})
	}
}

// TestWaitForKeys: without a key nothing starts, the sentence says what to do, and it
// goes on by itself once that is done.
func TestWaitForKeys(t *testing.T) {
	r := newKeyRig()
	other, _ := r.replica(true)
	other.Read(t.Context())
	good := r.stored(t)
	r.set(t, map[string][]byte{"key": []byte("garbage")})
	k, _ := r.replica(true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said []string
	if err := k.Wait(ctx, func(err error) {
		said = append(said, err.Error())
		r.set(t, good)
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{`secret ours/heteroaccel-webhook-key: a key has 32 to 64 bytes, and "key" has 7 bytes. Restore it from a backup, or remove what is wrong: see docs/keys.md`}
	if diff := cmp.Diff(want, said); diff != "" || !k.Current().Same(other.Current()) {
		t.Errorf("keys %v; said (-want +got):\n%s", k.Names(), diff)
	}
	cancel()
	r.deleteSecret(t)
	if err := func() error { k, _ := r.replica(false); return k.Wait(ctx, func(error) {}) }(); err == nil {
		t.Error("an extender without a Secret has keys")
	}
}

// TestRunRelists: who reads the records is told when other keys verify, and only then.
func TestRunRelists(t *testing.T) {
	r := newKeyRig()
	k, _ := r.replica(true)
	if !k.Read(t.Context()) || k.Read(t.Context()) {
		t.Error("the first key, and that one again: want a change, and none")
	}
	data := r.stored(t)
	data["key-3"] = bytes.Repeat([]byte{3}, 32)
	r.set(t, data)
	if !k.Read(t.Context()) {
		t.Error("a new key is no change")
	}
	r.now = r.now.Add(record.Settle)
	if k.Read(t.Context()) || k.Name(k.Current().Sealing()) != "key-3" {
		t.Error("another key seals: want the same keys to verify")
	}
}
