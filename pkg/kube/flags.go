package kube

import (
	"errors"
	"time"

	"github.com/spf13/pflag"
)

// Flags say how to reach the API server.
type Flags struct {
	Kubeconfig string
	// QPS and Burst limit the requests of each client, in requests a second and
	// requests.
	QPS   float32
	Burst int
}

// Add declares the flags.
func (f *Flags) Add(fs *pflag.FlagSet) {
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "kubeconfig file; default: the pod's service account")
	fs.Float32Var(&f.QPS, "kube-api-qps", 50, "requests a second that each client may send to the API server")
	fs.IntVar(&f.Burst, "kube-api-burst", 100, "requests that each client may send at once beyond --kube-api-qps")
}

// Check rejects values that make no sense.
func (f *Flags) Check() error {
	if f.QPS <= 0 || f.Burst <= 0 {
		return errors.New("--kube-api-qps and --kube-api-burst must be more than 0")
	}
	return nil
}

// LeaderFlags configure the election of the replica that decides. Their names and
// meanings are kube-scheduler's.
type LeaderFlags struct {
	Elect bool
	// Identity must differ between replicas. If it stays the same when a replica is
	// restarted, that one leads again at once.
	Identity                                  string
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
}

// Add declares the flags.
func (f *LeaderFlags) Add(fs *pflag.FlagSet, identity string) {
	fs.BoolVar(&f.Elect, "leader-elect", true, "take part in the election of the one replica that decides")
	fs.StringVar(&f.Identity, "leader-elect-identity", identity, "name of this replica in the election; default: the hostname")
	fs.Lookup("leader-elect-identity").DefValue = "" // it differs from machine to machine, and help says what it is
	// Shorter than the usual 15 s: until another replica leads, annotated pods
	// are refused.
	fs.DurationVar(&f.LeaseDuration, "leader-elect-lease-duration", 6*time.Second, "how long the other replicas wait for a leader that does not renew its lease")
	fs.DurationVar(&f.RenewDeadline, "leader-elect-renew-deadline", 4*time.Second, "how long the leader tries to renew its lease before it stops leading; must be shorter than the lease's duration")
	fs.DurationVar(&f.RetryPeriod, "leader-elect-retry-period", time.Second, "how long to wait between tries to get or renew the lease")
}

// Check rejects values with which no election works.
func (f *LeaderFlags) Check() error {
	switch {
	case !f.Elect:
		return nil
	case f.Identity == "":
		return errors.New("--leader-elect-identity is empty: give each replica a name of its own")
	case f.RetryPeriod <= 0 || f.RenewDeadline <= f.RetryPeriod+f.RetryPeriod/5 || f.LeaseDuration <= f.RenewDeadline:
		return errors.New("--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline, and that longer than 1.2 times --leader-elect-retry-period")
	}
	return nil
}
