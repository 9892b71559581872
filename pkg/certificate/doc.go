// Package certificate obtains a server's TLS certificate and renews it without
// a restart: from files that somebody else renews, such as cert-manager, or
// self-signed, with a CA of our own.
//
// Paths, or a client that may write a Secret and a MutatingWebhookConfiguration,
// enter; a tls.Config for package serve leaves, and what refuses the callers that no
// given CA vouches for, or who are no replicas of the server. It never serves a certificate that the API server does not
// trust yet while it has one that is trusted.
//
//	files.go       certificate and key files, read again when they change
//	selfsigned.go  a self-signed CA in a Secret, and certificates it signs
//	cabundle.go    the webhook configuration's caBundle follows that CA
//	changeover.go  the old certificate is served until the new CA is trusted
//	renew.go       keeps any of them up to date while the program runs
//	clients.go     which callers a server accepts, by their certificates
//	peers.go       replicas know one another by the certificates that they serve
//
// It is a package of its own because of what it links: a program that speaks
// plain HTTP is half as large without it.
package certificate
