package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/leader"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/profile"
	"heteroaccel.io/pkg/program"
	"heteroaccel.io/webhook/readmit/choice"
	"heteroaccel.io/webhook/readmit/upgrade"
)

// flags are the command line. Only main reads it and the environment.
type flags struct {
	bindAddress, metricsBindAddress, healthBindAddress string
	// advertiseAddress is where other replicas reach bindAddress, host:port.
	advertiseAddress string

	tlsCert, tlsKey      string
	clientCA             string
	clientNames          []string
	namespace            string
	service              string
	webhookConfiguration string
	kube                 kube.Flags
	leader               leader.Flags

	telemetry       monitor.Flags
	serverMetrics   time.Duration
	binding         profile.Binding
	bindingName     string
	policyName      string
	policy          policy.Policy
	reservationTTL  time.Duration
	schedulers      []string
	setScheduler    string
	others          string
	otherSchedulers bool // from others

	readmission   bool
	readmitBare   bool
	readmitDryRun bool
	rules         choice.Rules
	moveUp        bool
	deletionCosts bool
	upgrades      upgrade.Rules
}

func (f *flags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.bindAddress, "bind-address", ":8443", "address of the webhook, HTTPS")
	fs.StringVar(&f.advertiseAddress, "advertise-address", "", "host:port where the other replicas reach this one; default: $POD_IP, the host of --bind-address or the hostname, and the port of --bind-address")
	fs.StringVar(&f.metricsBindAddress, "metrics-bind-address", ":8080", "address of /metrics, HTTP")
	fs.StringVar(&f.healthBindAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz, HTTP; may be that of the metrics")
	fs.StringVar(&f.tlsCert, "tls-cert-file", "", "certificate file, read again when it changes; default: self-signed by a CA that is kept in a Secret")
	fs.StringVar(&f.tlsKey, "tls-private-key-file", "", "private key file of --tls-cert-file")
	fs.StringVar(&f.clientCA, "client-ca-file", "", "file of the CA of the API server's client certificate, read again when it changes: reviews without one are refused; default: reviews are taken from whoever reaches the address")
	fs.StringSliceVar(&f.clientNames, "client-allowed-names", nil, "common names that the certificate of --client-ca-file may have; default: any")
	fs.StringVar(&f.namespace, "namespace", program.EnvOr("POD_NAMESPACE", "heteroaccel-system"), "namespace of our Secrets and Lease")
	fs.StringVar(&f.service, "service-name", "heteroaccel-webhook", "name of the webhook's Service, for the self-signed certificate")
	fs.StringVar(&f.webhookConfiguration, "webhook-configuration-name", "heteroaccel", "MutatingWebhookConfiguration whose caBundle is kept up to date when the certificate is self-signed")
	f.telemetry.Add(fs)
	fs.DurationVar(&f.serverMetrics, "server-metrics-interval", 30*time.Second, "how often to read what pods that run without an end report of their inferences, where their InferenceProfile has serverMetrics: from --prometheus-url those that it has, from the pods themselves the others; 0 for never")
	fs.StringVar(&f.bindingName, "binding", string(profile.Early), "when the accelerator of a pod is settled whose InferenceProfile does not say: early, as it is created; late, as kube-scheduler allocates a device of its ResourceClaim, where every variant has a deviceClassName; or auto, late where there are devices of all these classes. With late or auto, profiles may say late or auto too")
	fs.StringVar(&f.policyName, "policy", policy.Default, "how to choose an accelerator: priced-finish, earliest-finish or idle-first")
	fs.DurationVar(&f.reservationTTL, "reservation-ttl", 30*time.Second, "how long an accelerator stays reserved for a pod that has not appeared")
	fs.StringSliceVar(&f.schedulers, "scheduler-names", []string{corev1.DefaultSchedulerName}, "schedulers that ask the extender; may be given several times")
	fs.StringVar(&f.setScheduler, "set-scheduler-name", "", "schedulerName to write into annotated pods that name none of their own, or default-scheduler; it asks the extender, as if it were in --scheduler-names. Default: none")
	fs.StringVar(&f.others, "other-schedulers", "refuse", "what to do with pods of another schedulerName: refuse them, or admit them with an accelerator but neither count them as pending nor recreate them")
	fs.BoolVar(&f.readmission, "readmission", true, "recreate a pod that waits when another kind that it may have is idle and better")
	fs.BoolVar(&f.readmitBare, "readmission-bare-pods", true, "recreate pods without a controller too")
	fs.BoolVar(&f.readmitDryRun, "readmission-dry-run", true, "before a pod is deleted, ask the API server by a dry run whether it would admit the new one; needs the right to create pods and to get their controllers. Without it a pod is moved only to a kind that another pod of its controller got, and pods of OnDelete controllers are treated like others")
	f.upgrades = upgrade.Default
	fs.BoolVar(&f.moveUp, "upgrades", true, "move a Deployment's pod that runs without an end to a faster kind that is idle, if a rollout kept it from that or its annotation heteroaccel.io/upgrade asks for it; needs --readmission and --readmission-dry-run")
	fs.Float64Var(&f.upgrades.Factor, "upgrade-factor", f.upgrades.Factor, "how many times as fast the other kind must be for a pod that asks")
	fs.DurationVar(&f.upgrades.Uptime, "upgrade-uptime", f.upgrades.Uptime, "how long a pod that asks must have been Ready")
	fs.DurationVar(&f.upgrades.Idle, "upgrade-idle", f.upgrades.Idle, "how long the other kind must have been idle for a pod that asks")
	fs.IntVar(&f.upgrades.PerOwner, "upgrade-limit", f.upgrades.PerOwner, "how many pods of one Deployment that ask are moved within an hour")
	fs.DurationVar(&f.upgrades.Ready, "upgrade-ready", f.upgrades.Ready, "how long the pod on the other kind may take to be Ready, before it is given up")
	fs.BoolVar(&f.deletionCosts, "deletion-costs", true, "set the annotation controller.kubernetes.io/pod-deletion-cost of a Deployment's pods that run without an end, where they are on different kinds and nobody else sets it, so that the slowest go first when it is scaled down; needs --readmission")
	fs.DurationVar(&f.rules.Margin, "readmission-margin", 250*time.Millisecond, "how much sooner the recreated pod must be expected to finish")
	fs.DurationVar(&f.rules.Backoff, "readmission-backoff", 5*time.Second, "how long a recreated pod is left alone; doubles each time, up to an hour")
	fs.DurationVar(&f.rules.Patience, "readmission-patience", 5*time.Minute, "how long a pod waits before it overtakes those of a higher priority")
	f.leader.Add(fs, hostname())
	f.kube.Add(fs)
}

func (f *flags) check() (err error) {
	f.otherSchedulers = f.others == "admit"
	if f.advertiseAddress == "" {
		if f.advertiseAddress, err = advertised(f.bindAddress, os.Getenv("POD_IP")); err != nil {
			return err
		}
	}
	_, _, unreachable := net.SplitHostPort(f.advertiseAddress)
	switch {
	case unreachable != nil:
		return fmt.Errorf("--advertise-address %q: give host:port: %w", f.advertiseAddress, unreachable)
	case len(f.schedulers) == 0 || slices.Contains(f.schedulers, ""):
		return errors.New("--scheduler-names has an empty name: name the schedulers that have the extender, such as default-scheduler")
	case f.setScheduler != "" && len(validation.IsDNS1123Subdomain(f.setScheduler)) > 0:
		return fmt.Errorf("--set-scheduler-name %q cannot be the name of a scheduler: give lower-case letters, digits, '-' and '.', such as heteroaccel-scheduler", f.setScheduler)
	case f.others != "admit" && f.others != "refuse":
		return fmt.Errorf("--other-schedulers %q: give admit or refuse", f.others)
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return errors.New("--tls-cert-file and --tls-private-key-file go together: give both, or neither for a self-signed certificate")
	case len(f.clientNames) > 0 && f.clientCA == "":
		return errors.New("--client-allowed-names needs --client-ca-file: give the CA whose certificates may have these names")
	case f.serverMetrics < 0:
		return errors.New("--server-metrics-interval must be at least 0, which reads nothing")
	case f.reservationTTL <= 0:
		return errors.New("--reservation-ttl must be longer than 0")
	case f.rules.Margin < 0 || f.rules.Backoff <= 0 || f.rules.Patience <= 0:
		return errors.New("--readmission-backoff and --readmission-patience must be longer than 0, --readmission-margin at least 0")
	}
	if u := f.upgrades; u.Factor < 1 || u.Uptime < 0 || u.Idle < 0 || u.Ready <= 0 || u.PerOwner < 0 {
		return errors.New("--upgrade-factor must be at least 1, --upgrade-uptime, --upgrade-idle and --upgrade-limit at least 0, and --upgrade-ready longer than 0")
	}
	if f.setScheduler != "" && !slices.Contains(f.schedulers, f.setScheduler) {
		f.schedulers = append(slices.Clone(f.schedulers), f.setScheduler)
	}
	if f.binding, err = profile.ParseBinding(f.bindingName); err != nil {
		return fmt.Errorf("--binding: %w", err)
	}
	if f.policy, err = policy.Named(f.policyName); err != nil {
		err = fmt.Errorf("--policy: %w", err)
	}
	return errors.Join(err, f.telemetry.Check(), f.kube.Check(), f.leader.Check())
}

// advertised is where other replicas reach an address that is bound.
func advertised(bind, podIP string) (string, error) {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return "", fmt.Errorf("--bind-address %q: give host:port, or :port: %w", bind, err)
	}
	if ip := net.ParseIP(host); podIP == "" && host != "" && (ip == nil || !ip.IsUnspecified()) {
		return bind, nil
	}
	return net.JoinHostPort(cmp.Or(podIP, hostname()), port), nil
}

func hostname() string {
	h, err := os.Hostname()
	if err != nil {
		return "webhook"
	}
	return h
}
