//go:build long

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"heteroaccel.io/e2e/certmanager"
	"heteroaccel.io/e2e/stack"
)

// TestCertManager follows the webhook's certificate through what cert-manager's own
// controllers do with it, and through what goes wrong there: as soon as the cause is gone,
// pods are admitted again, by the same process of the webhook.
func TestCertManager(t *testing.T) {
	s := start(t, stack.Config{Machines: oneOfEach(), Race: true, CertManager: true})
	webhook := s.Process("webhook")
	for _, tc := range []struct {
		name string
		test func(*testing.T, *stack.Stack)
	}{
		{"issued", issued},
		// Before Kubernetes' garbage collector knows of cert-manager's kinds, and after.
		{"all deleted at once", allDeleted},
		{"expired", expired},
		{"expired with its CA", expiredCA},
		{"for another name", anotherName},
		{"all deleted", allDeleted},
		{"renewed every minute", renewed},
	} {
		if !t.Run(tc.name, func(t *testing.T) { tc.test(t, s) }) {
			said, _ := s.Kubectl(context.Background(), "-n", stack.Namespace, "get", "issuers,certificates,certificaterequests", "-o", "yaml")
			t.Fatalf("cert-manager has:\n%s", said)
		}
		if webhook.Ended() || s.Process("webhook") != webhook {
			t.Fatal("the webhook did not go on")
		}
	}
}

// issued: the certificate that is served is the one in the Secret, and the API server
// trusts its CA.
func issued(t *testing.T, s *stack.Stack) {
	eventually(t, func(ctx context.Context) error { return trusted(ctx, s) })
	certificatesReady(t, s)
	bundle, err := caBundle(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	secret := tlsSecret(t, s, stack.WebhookSecret)
	if string(bundle) != string(secret.Data["ca.crt"]) || len(bundle) == 0 {
		t.Errorf("the caBundle is\n%s\nthe CA is\n%s", bundle, secret.Data["ca.crt"])
	}
	leaf, err := shown(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if want := parse(t, secret.Data["tls.crt"]); !leaf.Equal(want) {
		t.Errorf("number %v is served, want %v", leaf.SerialNumber, want.SerialNumber)
	}
	// The component certs takes these rights away.
	for _, allowed := range [][]string{{"patch", "mutatingwebhookconfigurations/heteroaccel"}, {"get", "secrets/heteroaccel-webhook-ca"}} {
		said, err := s.Kubectl(t.Context(), append([]string{"auth", "can-i", "--as=system:serviceaccount:heteroaccel-system:heteroaccel-webhook", "-n", stack.Namespace}, allowed...)...)
		if err == nil || !strings.Contains(said, "no\n") {
			t.Errorf("the webhook may %v: %s", allowed, said)
		}
	}
}

// renewals are how many certificates follow one another under load, and pace how often
// each of four callers asks.
const (
	renewals = 4
	pace     = 100 * time.Millisecond
)

// renewed: with a certificate each minute no pod is refused, and every new connection to
// the webhook is one that the API server would trust at that moment.
func renewed(t *testing.T, s *stack.Stack) {
	patchCertificate(t, s, `{"spec":{"duration":"2m","renewBefore":"1m"}}`)
	seen := map[string]bool{}
	ctx, cancel := context.WithTimeoutCause(t.Context(), (renewals+4)*time.Minute, errors.New("too few renewals"))
	defer cancel()
	load, end := context.WithCancel(ctx)
	group, load := errgroup.WithContext(load)
	reviews := make([]int, 4)
	for i := range reviews {
		group.Go(func() error {
			for tick := time.Tick(pace); load.Err() == nil; <-tick {
				if _, err := would(load, s, anyPod("", "face-recognition", "any")); err != nil && load.Err() == nil {
					return fmt.Errorf("after %d reviews: %w", reviews[i], err)
				}
				reviews[i]++
			}
			return nil
		})
	}
	connections := 0
	group.Go(func() error {
		defer end()
		for tick := time.Tick(pace); len(seen) <= renewals; <-tick {
			leaf, err := accepted(load, s)
			if err != nil {
				return fmt.Errorf("after %d connections and %d certificates: %w", connections, len(seen), err)
			}
			connections++
			seen[leaf.SerialNumber.String()] = true
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range reviews {
		total += n
	}
	t.Logf("%d certificates, %d reviews, %d new connections, and none failed", len(seen), total, connections)
	if total < 1000 {
		t.Errorf("only %d reviews: this is no load", total)
	}
	patchCertificate(t, s, `{"spec":{"duration":"2160h","renewBefore":"720h"}}`)
	eventually(t, func(ctx context.Context) error {
		leaf, err := accepted(ctx, s)
		if err == nil && leaf.NotAfter.Before(time.Now().Add(24*time.Hour)) {
			err = fmt.Errorf("it ends at %s", leaf.NotAfter)
		}
		return err
	})
}

// expired: cert-manager was away until the certificate ended. Pods that ask for an
// accelerator are refused with the reason, no other; once cert-manager is back it is
// renewed.
func expired(t *testing.T, s *stack.Stack) {
	certmanager.Stop(s.Cluster)
	expire(t, s, false)
	eventually(t, func(ctx context.Context) error {
		leaf, err := shown(ctx, s)
		if err == nil && leaf.NotAfter.After(time.Now()) {
			err = errors.New("the one that has not ended is served still")
		}
		return err
	})
	connectAgain(t, s)
	refusedFor(t, s, "certificate has expired")
	begin := time.Now()
	if err := certmanager.Run(t.Context(), s.Cluster); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error { return trusted(ctx, s) })
	t.Logf("renewed %s after cert-manager was back", time.Since(begin).Round(10*time.Millisecond))
	certificatesReady(t, s)
}

// expiredCA: its CA ended too. cert-manager renews both at once, and may sign the
// certificate with the CA of before, which it then leaves in the caBundle. The command
// of docs/install.md mends it.
func expiredCA(t *testing.T, s *stack.Stack) {
	certmanager.Stop(s.Cluster)
	expire(t, s, true)
	refusedFor(t, s, "certificate has expired")
	if err := certmanager.Run(t.Context(), s.Cluster); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(context.Context) error {
		for _, name := range []string{"heteroaccel-ca", stack.WebhookSecret} {
			if end := parse(t, tlsSecret(t, s, name).Data["tls.crt"]).NotAfter; time.Now().After(end) {
				return fmt.Errorf("%s ended at %s", name, end)
			}
		}
		return nil
	})
	_, err := accepted(t.Context(), s)
	t.Logf("before the Secret is deleted: %v", err)
	if said, err := s.Kubectl(t.Context(), "-n", stack.Namespace, "delete", "secret", stack.WebhookSecret); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	begin := time.Now()
	eventually(t, func(ctx context.Context) error { return trusted(ctx, s) })
	t.Logf("trusted %s later", time.Since(begin).Round(10*time.Millisecond))
	certificatesReady(t, s)
}

// anotherName: the Certificate in the manifests was given a name that is not the
// Service's. The API server notices when it connects again.
func anotherName(t *testing.T, s *stack.Stack) {
	names := strings.Join(certificateNames(t, s), `","`)
	patchCertificate(t, s, `{"spec":{"dnsNames":["wrong.example"]}}`)
	eventually(t, func(ctx context.Context) error {
		leaf, err := shown(ctx, s)
		if err == nil && leaf.VerifyHostname("wrong.example") != nil {
			err = fmt.Errorf("it is for %v", leaf.DNSNames)
		}
		return err
	})
	connectAgain(t, s)
	refusedFor(t, s, "certificate is valid for wrong.example")
	patchCertificate(t, s, `{"spec":{"dnsNames":["`+names+`"]}}`)
	eventually(t, func(ctx context.Context) error { return trusted(ctx, s) })
}

// allDeleted: the Certificates and their Secrets are deleted while the Issuers stay, and
// are applied again at once.
func allDeleted(t *testing.T, s *stack.Stack) {
	for range 2 {
		before, err := shown(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, objects := range [][]string{{"certificates", "--all"}, {"secret", "heteroaccel-ca", stack.WebhookSecret}} {
			if said, err := s.Kubectl(t.Context(), append([]string{"-n", stack.Namespace, "delete"}, objects...)...); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
		}
		begin := time.Now()
		applyCertificates(t, s)
		certificatesReady(t, s)
		ready := time.Since(begin)
		eventually(t, func(ctx context.Context) error {
			if err := trusted(ctx, s); err != nil {
				return err
			}
			leaf, err := shown(ctx, s)
			if err == nil && leaf.Equal(before) {
				err = errors.New("the certificate of before is served")
			}
			return err
		})
		t.Logf("Ready after %s, trusted after %s", ready.Round(10*time.Millisecond), time.Since(begin).Round(10*time.Millisecond))
	}
}

// connectAgain has the API server close its connections to the webhook, whose certificate
// it has verified when they began.
func connectAgain(t *testing.T, s *stack.Stack) {
	t.Helper()
	if err := s.RestartAPIServer(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// refusedFor waits until pods that ask for an accelerator are refused for a reason; no
// other pod is.
func refusedFor(t *testing.T, s *stack.Stack, reason string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		if _, err := would(ctx, s, anyPod("", "face-recognition", "any")); err == nil || !strings.Contains(err.Error(), reason) {
			return fmt.Errorf("the pod is not refused because its %s: %v", reason, err)
		}
		return nil
	})
	if _, err := would(t.Context(), s, plainPod("")); err != nil {
		t.Errorf("a pod that is not ours is refused: %v", err)
	}
}
