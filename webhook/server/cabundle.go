package server

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// CABundle keeps the caBundle of a MutatingWebhookConfiguration equal to the
// CA that signs our certificate, for clusters without cert-manager.
type CABundle struct {
	Client kubernetes.Interface
	// Namespace and Secret are where the CA is kept, under tls.crt.
	Namespace, Secret string
	// Configuration is the name of the MutatingWebhookConfiguration.
	Configuration string
	Log           zerolog.Logger

	// trusted is the bundle as the API server last showed it.
	trusted atomic.Pointer[trust]
}

// trust is a bundle and when the API server was first seen to have it.
type trust struct {
	bundle []byte
	since  time.Time
}

// often is how soon a configuration that was applied anew, with no caBundle,
// is put right.
const often = 2 * time.Second

// Run looks every two seconds until ctx ends. Two small reads are cheaper to
// understand than two watches, and the API server can be away meanwhile.
func (c *CABundle) Run(ctx context.Context) error {
	tick := time.NewTicker(often)
	defer tick.Stop()
	said := ""
	for {
		err := c.sync(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			c.Log.Warn().Err(err).Msg("keep the caBundle")
		} else if err == nil {
			said = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *CABundle) sync(ctx context.Context) error {
	secret, err := c.Client.CoreV1().Secrets(c.Namespace).Get(ctx, c.Secret, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the CA: %w", err)
	}
	configs := c.Client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	config, err := configs.Get(ctx, c.Configuration, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the webhook's configuration: %w", err)
	}
	type op struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	// The resourceVersion makes the patch fail rather than hit another entry
	// if somebody reorders the webhooks meanwhile.
	ops := []op{{"test", "/metadata/resourceVersion", config.ResourceVersion}}
	if len(config.Webhooks) > 0 {
		c.note(config.Webhooks[0].ClientConfig.CABundle, time.Now())
	}
	for i, w := range config.Webhooks {
		bundle := merge(secret.Data[corev1.TLSCertKey], w.ClientConfig.CABundle, time.Now())
		if !bytes.Equal(bundle, w.ClientConfig.CABundle) {
			ops = append(ops, op{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), bundle})
		}
	}
	if len(ops) == 1 {
		return nil
	}
	patch, err := json.Marshal(ops)
	if err != nil {
		return fmt.Errorf("encode the caBundle's patch: %w", err)
	}
	if _, err := configs.Patch(ctx, c.Configuration, types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("write the caBundle: %w", err)
	}
	c.Log.Info().Str("configuration", c.Configuration).Msg("wrote the caBundle")
	return nil
}

// note remembers the bundle that the API server has.
func (c *CABundle) note(bundle []byte, now time.Time) {
	if t := c.trusted.Load(); t == nil || !bytes.Equal(t.bundle, bundle) {
		c.trusted.Store(&trust{bundle, now})
	}
}

// merge returns a bundle that starts with the current CA. The one before it
// stays until it expires: while a CA changes, replicas still present
// certificates that the old one signed.
func merge(current, bundle []byte, now time.Time) []byte {
	if bytes.HasPrefix(bundle, current) {
		return bundle
	}
	merged := bytes.Clone(current)
	if block, _ := pem.Decode(bundle); block != nil {
		if old, err := x509.ParseCertificate(block.Bytes); err == nil && now.Before(old.NotAfter) {
			merged = append(merged, pem.EncodeToMemory(block)...)
		}
	}
	return merged
}
