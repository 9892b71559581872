package main

// volume is one of those that hold credentials.
type volume int

const (
	ofControlPlane volume = iota
	ofPrograms
)

func (v volumes) of(which volume) string {
	if which == ofPrograms {
		return v.programs
	}
	return v.pki
}

// systemMasters may do everything, by Kubernetes' own bootstrap.
var systemMasters = []string{"system:masters"}

// schedulerName is who kube-scheduler is for the extender.
const schedulerName = "kube-scheduler"

// servers are whose certificates are issued, each with a key of its own, and under which
// names they are reached: those of the services of docker-compose.yaml, and those that
// HeteroAccel's Services have in a cluster.
var servers = []struct {
	file   string
	volume volume
	hosts  []string
}{
	{"etcd", ofControlPlane, []string{"etcd", "localhost", "127.0.0.1"}},
	{"kube-apiserver", ofControlPlane, []string{
		"kube-apiserver", "localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1",
	}},
	{"kube-controller-manager", ofControlPlane, []string{"kube-controller-manager", "localhost", "127.0.0.1"}},
	{"kube-scheduler", ofControlPlane, []string{"kube-scheduler", "localhost", "127.0.0.1"}},
	{"extender", ofPrograms, []string{"extender", "heteroaccel-extender.heteroaccel-system.svc", "localhost", "127.0.0.1"}},
}

// users are who gets a kubeconfig, and which rights: HeteroAccel's programs those of
// their service accounts, which the manifests give.
var users = []struct {
	file   string
	volume volume
	name   string
	groups []string
}{
	{"admin", ofControlPlane, "admin", systemMasters},
	{"kwok", ofControlPlane, "kwok", systemMasters},
	{"nodes", ofControlPlane, "nodes", systemMasters},
	{"kube-controller-manager", ofControlPlane, "system:kube-controller-manager", nil},
	{"kube-scheduler", ofControlPlane, "system:kube-scheduler", nil},
	{"webhook", ofPrograms, account + "heteroaccel-webhook", accounts},
	{"extender", ofPrograms, account + "heteroaccel-extender", accounts},
	{"connector", ofPrograms, account + "heteroaccel-connector", accounts},
}

// account begins the name of every service account of HeteroAccel's, and accounts are
// the groups of all of them.
const account = "system:serviceaccount:heteroaccel-system:"

var accounts = []string{"system:serviceaccounts", "system:serviceaccounts:heteroaccel-system", "system:authenticated"}
