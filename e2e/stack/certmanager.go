package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"heteroaccel.io/e2e/certmanager"
)

// WebhookSecret has the webhook's certificate where cert-manager issues it.
const WebhookSecret = "heteroaccel-webhook-tls"

// overlay is the folder with the manifests.
func (s *Stack) overlay() string {
	if s.cfg.CertManager {
		return filepath.Join("e2e", "testdata", "cert-manager")
	}
	if s.cfg.Late && s.cfg.NoReadmission {
		return filepath.Join("e2e", "testdata", "late-binding-alone")
	}
	if s.cfg.Late {
		return filepath.Join("e2e", "testdata", "late-binding")
	}
	return filepath.Join("deploy", "base")
}

// startCertManager installs and starts cert-manager, before us: our manifests name its
// kinds.
func (s *Stack) startCertManager(ctx context.Context) error {
	fmt.Fprintln(s.cfg.Out, "starting cert-manager")
	if err := certmanager.Install(ctx, s.Cluster); err != nil {
		return err
	}
	return certmanager.Run(ctx, s.Cluster)
}

// Certs is the directory with the webhook's certificate, as a volume would have it.
func (s *Stack) Certs() string { return filepath.Join(s.Dir(), "certs") }

// certificate are the flags that certs/ adds to the webhook's.
func (s *Stack) certificate() []string {
	if !s.cfg.CertManager {
		return nil
	}
	return []string{"--tls-cert-file=" + filepath.Join(s.Certs(), "tls.crt"), "--tls-private-key-file=" + filepath.Join(s.Certs(), "tls.key")}
}

// mount does what the kubelet does with the webhook's Secret: the container starts once
// there is one, and its files follow it until the installation stops.
func (s *Stack) mount(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	there := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		err := certmanager.Mirror(running, s.Client(), Namespace, WebhookSecret, s.Certs(), func() { close(there) })
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	s.unmount = func() { end(); done.Wait() }
	select {
	case <-there:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for cert-manager to issue the webhook's certificate: %w; see %s", context.Cause(ctx), certmanager.Log(s.Cluster))
	}
}

// Stop ends everything and removes the work directory.
func (s *Stack) Stop() {
	if s.unmount != nil {
		s.unmount()
	}
	s.Cluster.Stop()
}
