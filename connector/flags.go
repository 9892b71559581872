package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"heteroaccel.io/connector/server"
	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/leader"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/program"
)

// flags are the command line; main alone reads it and the environment.
type flags struct {
	bindAddress, metricsBindAddress, healthBindAddress string

	tlsCert, tlsKey, clientCA string
	tokenFile                 string
	tokenReview               bool
	anonymous                 bool

	namespace        string
	sessionNamespace string
	node             string
	reach            string
	gateway, host    string
	limits           server.Limits
	idle             time.Duration
	kube             kube.Flags
	leader           leader.Flags
	telemetry        monitor.Flags
}

func (f *flags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.bindAddress, "bind-address", ":8090", "address of the API: HTTPS with --tls-cert-file, else HTTP")
	fs.StringVar(&f.metricsBindAddress, "metrics-bind-address", ":8080", "address of /metrics, HTTP")
	fs.StringVar(&f.healthBindAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz, HTTP; may be that of the metrics")
	fs.StringVar(&f.tlsCert, "tls-cert-file", "", "certificate file, read again when it changes")
	fs.StringVar(&f.tlsKey, "tls-private-key-file", "", "private key file of --tls-cert-file")
	fs.StringVar(&f.clientCA, "client-ca-file", "", "certificates of the CAs of clients' certificates: a client is known by its common name")
	fs.StringVar(&f.tokenFile, "token-auth-file", "", "file with TOKEN,CLIENT in each line, read again when it changes")
	fs.BoolVar(&f.tokenReview, "token-review", true, "accept the API server's tokens, such as those of service accounts")
	fs.BoolVar(&f.anonymous, "anonymous", false, "accept everybody else as one client, anonymous; for closed networks only")
	fs.StringVar(&f.namespace, "namespace", program.EnvOr("POD_NAMESPACE", "heteroaccel-system"), "namespace of our Lease")
	fs.StringVar(&f.sessionNamespace, "session-namespace", "heteroaccel-sessions", "namespace of the sessions and of the servers' pods; ours is refused")
	fs.StringVar(&f.node, "node-name", os.Getenv("NODE_NAME"), "the node whose clients this process serves, for near: node; default: NODE_NAME")
	fs.StringVar(&f.reach, "server-address", string(session.ReachPodIP), "the address that clients are given, where the profile does not say: pod-ip, host-port for the node's and the port's hostPort, node-port for the node's and that of a Service, load-balancer for a Service's, or gateway for that of --gateway and a path there")
	fs.StringVar(&f.gateway, "gateway", "", "the Gateway by which servers are reached whose address is gateway, NAMESPACE/NAME or NAMESPACE/NAME/LISTENER; default of LISTENER: the first for HTTP or HTTPS")
	fs.StringVar(&f.host, "gateway-hostname", "", "the host name that clients are given for --gateway, and that its HTTPRoutes are for; default: the listener's, else the Gateway's address")
	fs.DurationVar(&f.limits.TTL, "default-ttl", time.Minute, "how long a session lives without being renewed, where the client does not say")
	fs.DurationVar(&f.limits.MaxTTL, "max-ttl", time.Hour, "the longest time to live that a client may ask for")
	fs.IntVar(&f.limits.Sessions, "max-sessions-per-client", 100, "how many sessions a client may have at a time")
	fs.Float64Var(&f.limits.Rate, "max-requests-per-second", 50, "how many requests a second each client may send")
	fs.IntVar(&f.limits.Burst, "max-requests-burst", 200, "how many requests each client may send at once beyond --max-requests-per-second")
	fs.DurationVar(&f.idle, "idle-timeout", time.Minute, "how long a server without a session is kept, where the profile does not say")
	f.telemetry.Add(fs)
	f.leader.Add(fs, hostname())
	f.kube.Add(fs)
}

func (f *flags) check() error {
	switch {
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return errors.New("--tls-cert-file and --tls-private-key-file go together: give both, or neither for HTTP")
	case f.clientCA != "" && f.tlsCert == "":
		return errors.New("--client-ca-file needs --tls-cert-file: without HTTPS there are no client certificates")
	case f.clientCA == "" && f.tokenFile == "" && !f.tokenReview && !f.anonymous:
		return errors.New("nobody could be known: give --token-review, --token-auth-file, --client-ca-file or --anonymous")
	case f.sessionNamespace == "" || f.sessionNamespace == f.namespace || f.sessionNamespace == "kube-system":
		return fmt.Errorf("--session-namespace %q: give a namespace that has nothing but sessions and their pods", f.sessionNamespace)
	case f.limits.TTL < time.Second || f.limits.MaxTTL < f.limits.TTL:
		return errors.New("--default-ttl must be at least 1s, and --max-ttl no less than that")
	case f.limits.Sessions < 1 || f.limits.Rate <= 0 || f.limits.Burst < 1:
		return errors.New("--max-sessions-per-client, --max-requests-per-second and --max-requests-burst must be more than 0")
	case f.idle < 0:
		return errors.New("--idle-timeout must be at least 0")
	}
	if _, err := session.ParseReach(f.reach); err != nil {
		return fmt.Errorf("--server-address %w", err)
	}
	if _, err := f.attachment(); err != nil {
		return err
	}
	return errors.Join(f.telemetry.Check(), f.leader.Check(), f.kube.Check())
}

// attachment is what HTTPRoutes are attached to, nil for nothing.
func (f *flags) attachment() (*session.Attachment, error) {
	switch {
	case f.gateway == "" && f.reach == string(session.ReachGateway):
		return nil, errors.New("--server-address gateway needs --gateway NAMESPACE/NAME")
	case f.gateway == "" && f.host != "":
		return nil, errors.New("--gateway-hostname needs --gateway NAMESPACE/NAME")
	case f.gateway == "":
		return nil, nil
	}
	a, err := session.ParseAttachment(f.gateway)
	if err != nil {
		return nil, fmt.Errorf("--gateway %w", err)
	}
	if f.host != "" {
		if a.Hostname, err = session.ParseHostname(f.host); err != nil {
			return nil, fmt.Errorf("--gateway-hostname %w", err)
		}
	}
	return a, nil
}

func hostname() string {
	h, err := os.Hostname()
	if err != nil {
		return "connector"
	}
	return h
}
