package certificate

import (
	certtls "github.com/cert-manager/cert-manager/pkg/server/tls"
	"github.com/cert-manager/cert-manager/pkg/server/tls/authority"
	"github.com/rs/zerolog"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// SelfSignedConfig is what a self-signed certificate needs, all of it.
type SelfSignedConfig struct {
	RESTConfig *rest.Config
	Client     kubernetes.Interface
	// Namespace and Secret are where the CA is kept, so that all replicas share
	// it.
	Namespace, Secret string
	// CommonName is the CA's.
	CommonName string
	// DNSNames are the names that the certificate is for.
	DNSNames []string
	// WebhookConfiguration is the name of the MutatingWebhookConfiguration whose
	// caBundle has to contain the CA.
	WebhookConfiguration string
	Log                  zerolog.Logger
}

// SelfSigned issues and renews certificates signed by a CA of our own, renews
// that CA in time, and keeps the API server's caBundle equal to it. Other replicas are
// known by that CA.
func SelfSigned(c SelfSignedConfig) ReplicaSource {
	return &changeover{
		CertificateSource: &certtls.DynamicSource{
			DNSNames: c.DNSNames,
			Authority: &authority.DynamicAuthority{
				SecretNamespace: c.Namespace,
				SecretName:      c.Secret,
				CommonName:      c.CommonName,
				RESTConfig:      c.RESTConfig,
			},
		},
		bundle: &caBundle{client: c.Client, namespace: c.Namespace, secret: c.Secret, configuration: c.WebhookConfiguration, log: c.Log},
	}
}
