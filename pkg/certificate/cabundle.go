package certificate

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

// caBundle keeps the caBundle of a MutatingWebhookConfiguration equal to the CA
// that signs our certificate, for clusters without cert-manager.
type caBundle struct {
	client kubernetes.Interface
	// namespace and secret are where the CA is kept, under tls.crt.
	namespace, secret string
	// configuration is the name of the MutatingWebhookConfiguration.
	configuration string
	log           zerolog.Logger

	// trusted is the bundle that the API server had last.
	trusted atomic.Pointer[trust]
	// ca is the CA as it was read last, PEM.
	ca atomic.Pointer[[]byte]
}

// trust is a bundle and since when, at the latest, the API server has it.
type trust struct {
	bundle []byte
	since  time.Time
}

// bundleInterval is how soon a configuration that was applied again, without a
// caBundle, is repaired.
const bundleInterval = 2 * time.Second

// run writes the bundle whenever it is not right, until ctx ends. Two small
// reads every two seconds are easier to understand than two watches, and go on
// by themselves when the API server was away.
func (c *caBundle) run(ctx context.Context) error {
	tick := time.NewTicker(bundleInterval)
	defer tick.Stop()
	logged := ""
	for {
		err := c.sync(ctx)
		if err != nil && ctx.Err() == nil && err.Error() != logged {
			logged = err.Error()
			c.log.Warn().Err(err).Msg("update the caBundle")
		} else if err == nil {
			logged = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *caBundle) sync(ctx context.Context) error {
	secret, err := c.client.CoreV1().Secrets(c.namespace).Get(ctx, c.secret, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the CA: %w", err)
	}
	ca := secret.Data[corev1.TLSCertKey]
	c.ca.Store(&ca)
	configs := c.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	config, err := configs.Get(ctx, c.configuration, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the webhook's configuration: %w", err)
	}
	type op struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	// With the resourceVersion the patch fails, and does not change another
	// entry, if somebody reorders the webhooks meanwhile.
	ops := []op{{"test", "/metadata/resourceVersion", config.ResourceVersion}}
	if len(config.Webhooks) > 0 {
		c.observe(config.Webhooks[0].ClientConfig.CABundle, time.Now())
	}
	for i, w := range config.Webhooks {
		bundle := withCA(ca, w.ClientConfig.CABundle, time.Now())
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
	if _, err := configs.Patch(ctx, c.configuration, types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("write the caBundle: %w", err)
	}
	c.log.Info().Str("configuration", c.configuration).Msg("wrote the caBundle")
	return nil
}

// observe notes the bundle that the API server has.
func (c *caBundle) observe(bundle []byte, now time.Time) {
	if t := c.trusted.Load(); t == nil || !bytes.Equal(t.bundle, bundle) {
		c.trusted.Store(&trust{bundle, now})
	}
}

// withCA returns a bundle that starts with the current CA. The previous one
// stays until it expires: while the CA changes, replicas still serve
// certificates that the old one signed.
func withCA(current, bundle []byte, now time.Time) []byte {
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
