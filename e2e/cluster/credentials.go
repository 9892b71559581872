package cluster

import "strings"

// KubeconfigFor returns the path of a kubeconfig for a user, with the rights
// that RBAC gives the user and the groups: none to begin with. A service
// account is the user system:serviceaccount:NAMESPACE:NAME in the groups
// system:serviceaccounts and system:serviceaccounts:NAMESPACE. Called again
// for a user it makes new credentials, with the groups given then.
func (c *Cluster) KubeconfigFor(user string, groups ...string) (string, error) {
	name := strings.NewReplacer(":", "_", "/", "_").Replace(user)
	return c.KubeconfigAt(name, c.server, user, groups...)
}

// KubeconfigAt is KubeconfigFor in a file of that name, for an API server that is
// reached at another URL, such as through a proxy.
func (c *Cluster) KubeconfigAt(name, server, user string, groups ...string) (string, error) {
	path := c.path("etc", name+".kubeconfig")
	return path, c.ca.Kubeconfig(path, server, user, groups)
}

// Certificate writes NAME.crt and NAME.key, PEM, for a server at the hosts:
// names or addresses. The cluster's CA, which CA has the path of, vouches for
// it.
func (c *Cluster) Certificate(name string, hosts ...string) (cert, key string, err error) {
	base := c.path("pki", name)
	return base + ".crt", base + ".key", c.ca.WriteServer(base, hosts...)
}

// ClientCertificate writes NAME.crt and NAME.key, PEM, that make their holder the
// user. The cluster's CA vouches for it.
func (c *Cluster) ClientCertificate(name, user string) (cert, key string, err error) {
	base := c.path("pki", name)
	return base + ".crt", base + ".key", c.ca.WriteClient(base, user)
}

// CA is the path of the certificate of the cluster's CA.
func (c *Cluster) CA() string { return c.path("pki", "ca.crt") }
