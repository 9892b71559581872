package main

import (
	"github.com/rs/zerolog"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"heteroaccel.io/pkg/certificate"
)

// certificateSource is where the server's certificate comes from: files, or
// else a CA of our own.
func certificateSource(f flags, config *rest.Config, client kubernetes.Interface, log zerolog.Logger) (certificate.ReplicaSource, error) {
	if f.tlsCert != "" {
		return certificate.FromFiles(f.tlsCert, f.tlsKey)
	}
	host := serviceHost(f)
	return certificate.SelfSigned(certificate.SelfSignedConfig{
		RESTConfig: config, Client: client,
		Namespace: f.namespace, Secret: caSecret, CommonName: caSecret,
		DNSNames:             []string{host + ".svc", host + ".svc.cluster.local", host, "localhost"},
		WebhookConfiguration: f.webhookConfiguration,
		Log:                  log,
	}), nil
}

// serviceHost is the webhook's Service as pods of other namespaces name it.
func serviceHost(f flags) string { return f.service + "." + f.namespace }
