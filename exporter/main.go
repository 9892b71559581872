// Command exporter shows the accelerators of the node it runs on as Prometheus
// metrics: kind, id, health, who holds them, and use from outside Kubernetes.
//
// Flags, sysfs, procfs and the kubelet's PodResources socket enter; metrics
// leave over HTTP. It changes nothing on the node and never talks to the API
// server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/exporter/collector"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/serve"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// garbage is how much the heap may grow, in percent, before it is swept: a
// scrape leaves a megabyte behind, and memory is dearer on a small node than the
// microseconds that sweeping twice as often takes.
const garbage = 50

func main() {
	debug.SetGCPercent(garbage)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the values of the flags.
type options struct {
	config collector.Config
	socket string
	listen string
	log    serve.LogFlags
}

// run is the program: it ends with ctx and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, pflag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "exporter: %v\n", err)
		return exitUsage
	}
	log := o.log.Logger(stderr, "exporter")
	kubelet, err := podresources.New(o.socket)
	if err != nil {
		log.Error().Err(err).Msg("cannot start")
		return exitFailed
	}
	defer kubelet.Close()
	log.Info().Str("node", o.config.Node).Str("podresources", o.socket).Bool("outside", o.config.Outside).Msg("starting")
	c := collector.New(o.config, kubelet.Ask, log)
	if err := serve.Run(ctx, o.listen, routes(c, o.config.Node, log), nil, log); err != nil {
		log.Error().Err(err).Msg("stopped")
		return exitFailed
	}
	return exitOK
}

// parse reads the flags, and writes the help to out when it is asked for.
func parse(args []string, out io.Writer) (options, error) {
	var o options
	fs := pflag.NewFlagSet("exporter", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.SetOutput(out)
	fs.Usage = func() {
		fmt.Fprintf(out, "exporter shows the accelerators of its node as Prometheus metrics.\n\nUsage: exporter [flags]\n\n%s", fs.FlagUsagesWrapped(80))
	}
	fs.StringVar(&o.config.Node, "node", defaultNode(), "name of the Kubernetes node; by default NODE_NAME, else the host's name")
	fs.StringVar(&o.config.Sys, "sys", "/sys", "where the host's sysfs is mounted")
	fs.StringVar(&o.config.Proc, "proc", "/proc", "where the host's procfs is mounted")
	fs.StringVar(&o.socket, "podresources", podresources.DefaultSocket, "the kubelet's PodResources socket")
	fs.StringVar(&o.listen, "listen", ":9817", "address to serve on")
	fs.BoolVar(&o.config.Outside, "outside", true, "look for processes outside Kubernetes that use a device; needs root and the host's PID namespace")
	fs.DurationVar(&o.config.Timeout, "timeout", time.Second, "how long a scrape may take; must be less than the scraper's own")
	o.log.Add(fs)
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return options{}, err
		}
		return options{}, fmt.Errorf("%w: see --help", err)
	}
	if fs.NArg() > 0 {
		return options{}, fmt.Errorf("%q is not a flag: the exporter takes flags only, see --help", fs.Arg(0))
	}
	return o, o.check()
}

// check refuses values with which the exporter could never be of use.
func (o options) check() error {
	if problems := validation.IsDNS1123Subdomain(o.config.Node); len(problems) > 0 {
		return fmt.Errorf("--node %q is not a node's name: %s", o.config.Node, problems[0])
	}
	for flag, dir := range map[string]string{"sys": o.config.Sys, "proc": o.config.Proc} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("--%s %q is not a directory: name the place where the host's is mounted", flag, dir)
		}
	}
	if o.socket == "" {
		return errors.New("--podresources is empty: name the kubelet's PodResources socket")
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return fmt.Errorf("--listen %q is not an address: write it like :9817 or 127.0.0.1:9817", o.listen)
	}
	if o.config.Timeout <= 0 {
		return fmt.Errorf("--timeout %s must be more than 0", o.config.Timeout)
	}
	return o.log.Check()
}

// defaultNode is the name under which the kubelet registers when nothing else
// is said: NODE_NAME is what a DaemonSet's manifest sets.
func defaultNode() string {
	if name := os.Getenv("NODE_NAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return "" // refused by check, with the flag's name
	}
	return strings.ToLower(strings.TrimSpace(name))
}
