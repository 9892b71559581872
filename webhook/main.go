// Webhook is the mutating admission webhook: it gives annotated pods the
// accelerator that is best for them when they are created.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/serve"
	"heteroaccel.io/webhook/readmit"
)

// flags are the command line; main alone reads it and the environment.
type flags struct {
	listen, http         string
	kubeconfig           string
	samples              monitor.Flags
	reservationTTL       time.Duration
	policy               policy.Policy
	tlsCert, tlsKey      string
	namespace            string
	service              string
	webhookConfiguration string
	leaderElect          bool
	identity             string
	readmission          bool
	readmitBare          bool
	readmitDryRun        bool
	rules                readmit.Rules
	log                  serve.LogFlags
}

func parse(args []string) (flags, error) {
	var f flags
	fs := pflag.NewFlagSet("webhook", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.StringVar(&f.listen, "listen", ":8443", "address of the webhook, HTTPS")
	fs.StringVar(&f.http, "http", ":8080", "address of /healthz, /readyz and /metrics, HTTP")
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; default: the pod's service account")
	f.samples.Add(fs)
	fs.DurationVar(&f.reservationTTL, "reservation-ttl", 30*time.Second, "how long a decision waits for its pod")
	name := fs.String("policy", policy.Default, "how to choose: priced-finish, earliest-finish or idle-first")
	fs.StringVar(&f.tlsCert, "tls-cert", "", "certificate file, read again when it changes; default: a self-signed CA of our own, kept in a Secret")
	fs.StringVar(&f.tlsKey, "tls-key", "", "private key file of --tls-cert")
	fs.StringVar(&f.namespace, "namespace", envOr("POD_NAMESPACE", "heteroaccel-system"), "namespace of our Secrets and Lease")
	fs.StringVar(&f.service, "service", "heteroaccel-webhook", "name of the webhook's Service, for the self-signed certificate")
	fs.StringVar(&f.webhookConfiguration, "webhook-configuration", "heteroaccel", "MutatingWebhookConfiguration whose caBundle is kept right when the certificate is self-signed")
	fs.BoolVar(&f.leaderElect, "leader-elect", true, "take part in choosing the one replica that decides")
	fs.StringVar(&f.identity, "identity", hostname(), "this replica's name in the election")
	fs.BoolVar(&f.readmission, "readmission", true, "recreate a pod that waits when another kind that it may have is idle and better")
	fs.BoolVar(&f.readmitBare, "readmission-bare-pods", true, "do so with pods that have no controller as well")
	fs.BoolVar(&f.readmitDryRun, "readmission-dry-run", true, "ask the API server by a dry run whether it would let in the new pod before the old one is deleted, which takes the right to create pods and to get their controllers; without it a pod is only moved to a kind that another pod of its controller was given, and pods of OnDelete controllers are not told from others")
	fs.DurationVar(&f.rules.Margin, "readmission-margin", 250*time.Millisecond, "by how much sooner the pod must be expected to be done then")
	fs.DurationVar(&f.rules.Backoff, "readmission-backoff", 5*time.Second, "how long a pod that was recreated is left alone, doubling with each time, up to an hour")
	fs.DurationVar(&f.rules.Patience, "readmission-patience", 5*time.Minute, "how long a pod waits before it goes before those of a higher priority")
	f.log.Add(fs)
	if err := fs.Parse(args); err != nil {
		return f, err
	}
	switch {
	case fs.NArg() > 0:
		return f, fmt.Errorf("unknown argument %q: everything is set by flags, see --help", fs.Arg(0))
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return f, errors.New("--tls-cert and --tls-key go together: give both, or neither for a self-signed certificate")
	case f.reservationTTL <= 0:
		return f, errors.New("--reservation-ttl must be longer than 0")
	case f.rules.Margin < 0 || f.rules.Backoff <= 0 || f.rules.Patience <= 0:
		return f, errors.New("--readmission-backoff and --readmission-patience must be longer than 0, --readmission-margin at least 0")
	}
	var err error
	if f.policy, err = policy.Named(*name); err != nil {
		err = fmt.Errorf("--policy: %w", err)
	}
	return f, errors.Join(err, f.samples.Check(), f.log.Check())
}

func main() {
	f, err := parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "webhook:", err)
		os.Exit(2)
	}
	log := f.log.Logger(os.Stderr, "webhook")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f, prometheus.NewRegistry(), log); err != nil {
		log.Error().Err(err).Msg("ended")
		os.Exit(1)
	}
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func hostname() string {
	h, err := os.Hostname()
	if err != nil {
		return "webhook"
	}
	return h
}
