// Command exporter exposes the accelerators of its node as Prometheus metrics:
// kind, id, health, which containers hold them, and external use.
//
// Flags, sysfs, procfs and the kubelet's PodResources socket enter; metrics
// leave over HTTP. It changes nothing on the node and never talks to the API
// server, unless --drive makes it the DRA driver of some kinds: see package
// dradriver.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/validation"

	"heteroaccel.io/exporter/collector"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/pkg/program"
	"heteroaccel.io/pkg/serve"
)

// gcPercent is Go's GOGC. A scrape allocates a megabyte, and memory is more
// precious on a small node than the microseconds of collecting twice as often.
const gcPercent = 50

func main() {
	debug.SetGCPercent(gcPercent)
	program.Main(exporter())
}

func exporter() program.Program {
	var f flags
	return program.Program{
		Name:  "exporter",
		About: "exporter exposes the accelerators of its node as Prometheus metrics.",
		Flags: f.add, Check: f.check, Health: "web.listen-address", Run: f.run,
	}
}

// flags are the command line. Only main reads it and the environment.
type flags struct {
	config        collector.Config
	socket        string
	listenAddress string
	drive         driveFlags
}

// run serves the metrics until ctx ends.
func (f *flags) run(ctx context.Context, log zerolog.Logger) error {
	kubelet, err := podresources.New(f.socket)
	if err != nil {
		return err
	}
	defer kubelet.Close()
	log.Info().Str("node", f.config.Node).Str("podresources", f.socket).Bool("external_use", f.config.ExternalUse).Msg("starting")
	metrics := []prometheus.Collector{}
	group, ctx := errgroup.WithContext(ctx)
	driver, err := f.drive.driver(f.config, log)
	if err != nil {
		return err
	}
	if driver != nil {
		f.config.Driven = driver.Driven
		metrics = append(metrics, driver)
	}
	c := collector.New(f.config, kubelet.Ask, log)
	if driver != nil {
		group.Go(func() error { return driver.Run(ctx, c.Read) })
	}
	group.Go(func() error {
		return serve.Run(ctx, f.listenAddress, routes(f.config.Node, log, append(metrics, c)...), nil, log)
	})
	return group.Wait()
}

func (f *flags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.listenAddress, "web.listen-address", ":9817", "address to listen on")
	fs.StringVar(&f.config.Node, "node-name", defaultNode(), "name of the Kubernetes node; default: NODE_NAME, else the hostname")
	fs.Lookup("node-name").DefValue = "" // it differs from machine to machine, and help says what it is
	fs.StringVar(&f.config.Sys, "path.sysfs", "/sys", "where the host's sysfs is mounted")
	fs.StringVar(&f.config.Proc, "path.procfs", "/proc", "where the host's procfs is mounted")
	fs.StringVar(&f.socket, "podresources-socket", podresources.DefaultSocket, "the kubelet's PodResources socket")
	fs.BoolVar(&f.config.ExternalUse, "detect-external-use", false, "find processes outside Kubernetes that use a device; needs root, the capabilities SYS_PTRACE and DAC_READ_SEARCH, and the host's procfs")
	fs.DurationVar(&f.config.Timeout, "scrape-timeout", time.Second, "how long a scrape may take; must be less than the scrape timeout of Prometheus")
	f.drive.add(fs)
}

// check rejects values with which the exporter cannot work.
func (f *flags) check() error {
	if problems := validation.IsDNS1123Subdomain(f.config.Node); len(problems) > 0 {
		return fmt.Errorf("--node-name %q is not the name of a node: %s", f.config.Node, problems[0])
	}
	for flag, dir := range map[string]string{"path.sysfs": f.config.Sys, "path.procfs": f.config.Proc} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("--%s %q is not a directory: give the directory where the host's is mounted", flag, dir)
		}
	}
	if f.socket == "" {
		return errors.New("--podresources-socket is empty: give the path of the kubelet's PodResources socket")
	}
	if _, _, err := net.SplitHostPort(f.listenAddress); err != nil {
		return fmt.Errorf("--web.listen-address %q is not an address: write it like :9817 or 127.0.0.1:9817", f.listenAddress)
	}
	if f.config.Timeout <= 0 {
		return fmt.Errorf("--scrape-timeout %s must be more than 0", f.config.Timeout)
	}
	return f.drive.check()
}

// defaultNode is the node's name by default: NODE_NAME, which the DaemonSet
// sets, else the hostname, under which the kubelet registers by default.
func defaultNode() string {
	if name := os.Getenv("NODE_NAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return "" // check rejects it
	}
	return strings.ToLower(strings.TrimSpace(name))
}
