package leader

import (
	"errors"
	"time"

	"github.com/spf13/pflag"
)

// Flags configure the election of the replica that decides. Their names and
// meanings are kube-scheduler's.
type Flags struct {
	Elect bool
	// Identity must differ between replicas. If it stays the same when a replica is
	// restarted, that one leads again at once.
	Identity                                  string
	LeaseDuration, RenewDeadline, RetryPeriod time.Duration
}

// Add declares the flags.
func (f *Flags) Add(fs *pflag.FlagSet, identity string) {
	fs.BoolVar(&f.Elect, "leader-elect", true, "take part in the election of the one replica that decides")
	fs.StringVar(&f.Identity, "leader-elect-identity", identity, "name of this replica in the election; default: the hostname")
	fs.Lookup("leader-elect-identity").DefValue = "" // it differs from machine to machine, and help says what it is
	// Shorter than the usual 15 s: until another replica leads, the creation of
	// annotated pods waits.
	fs.DurationVar(&f.LeaseDuration, "leader-elect-lease-duration", 6*time.Second, "how long the other replicas wait for a leader that does not renew its lease; in whole seconds")
	fs.DurationVar(&f.RenewDeadline, "leader-elect-renew-deadline", 4*time.Second, "how long the leader leads on after the last renewal of its lease; must be shorter than the lease's duration")
	fs.DurationVar(&f.RetryPeriod, "leader-elect-retry-period", time.Second, "how often the leader renews its lease; the other replicas look at it five times as often")
}

// look is how often a replica looks at the Lease, so that one that was released is
// taken at once, and who leads is known at once.
func (f *Flags) look() time.Duration { return f.RetryPeriod / 5 }

// TakeOver is how long after the last renewal of a leader that was killed another one
// has the Lease at the latest, but for the calls: it sees that renewal, and the end of
// the Lease's duration, one look late, and client-go makes a look up to 2.2 times as
// long.
func (f *Flags) TakeOver() time.Duration { return f.LeaseDuration + 2*(11*f.look()/5) }

// Check rejects values with which no election works.
func (f *Flags) Check() error {
	switch {
	case !f.Elect:
		return nil
	case f.Identity == "":
		return errors.New("--leader-elect-identity is empty: give each replica a name of its own")
	case f.LeaseDuration%time.Second != 0:
		return errors.New("--leader-elect-lease-duration must be in whole seconds: a Lease has no fractions of one")
	case f.RetryPeriod <= 0 || f.RenewDeadline <= f.RetryPeriod+f.RetryPeriod/5 || f.LeaseDuration <= f.RenewDeadline:
		return errors.New("--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline, and that longer than 1.2 times --leader-elect-retry-period")
	}
	return nil
}

// Margin is how long a term is over, at the least, before another replica can have
// the Lease.
func (f *Flags) Margin() time.Duration { return f.LeaseDuration - f.RenewDeadline }
