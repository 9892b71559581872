// Package certmanager runs cert-manager's own controllers beside a cluster: those of
// issuers and certificates, and cainjector, compiled from its published packages once into
// the user's cache.
//
// A cluster enters; issued certificates and written caBundles leave, as with cert-manager
// in its own pods. Its webhook does not run, which only judges what people write. Mirror
// stands for the kubelet where there is none.
package certmanager
