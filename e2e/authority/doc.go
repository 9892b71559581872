// Package authority is the certificate authority of a cluster that is thrown away.
//
// Names enter; certificates, keys and kubeconfigs leave, as PEM or as files that only
// this user may read. Its own key is in memory alone, so what was issued is all that
// there will ever be. It talks to no cluster.
package authority
