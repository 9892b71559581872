// Command deviceplugin serves a node's accelerators to the kubelet, as the
// vendors' device plugins do, where there is no hardware for those: on the
// nodes of a test, whose accelerators are a sysfs tree and files in /dev.
//
// It finds devices as the exporter does, names them as the vendors' plugins do,
// and logs, a line of JSON each, every allocation, registration and change.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"

	"heteroaccel.io/exporter/discovery"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the values of the flags.
type options struct {
	sys, dir  string
	interval  time.Duration
	resources map[string]string
	shared    map[string]int
}

// run is the program: it ends with ctx and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	fs := pflag.NewFlagSet("deviceplugin", pflag.ContinueOnError)
	fs.SetOutput(stdout)
	fs.StringVar(&o.sys, "sys", "/sys", "where the host's sysfs is mounted")
	fs.StringVar(&o.dir, "dir", api.DevicePluginPath, "the kubelet's directory of device plugins")
	fs.DurationVar(&o.interval, "interval", time.Second, "how often to look for devices")
	fs.StringToStringVar(&o.resources, "resource", map[string]string{
		"i915": "gpu.intel.com/i915", "xe": "gpu.intel.com/xe", "intel_vpu": "npu.intel.com/accel",
	}, "which driver's devices are served as which resource")
	fs.StringToIntVar(&o.shared, "shared", nil, "how many pods may share a device of a resource, where it is more than one")
	switch err := fs.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "deviceplugin: %v: see --help\n", err)
		return 2
	}
	log := zerolog.New(stderr).With().Timestamp().Logger()
	if err := serve(ctx, o, log); err != nil {
		log.Error().Err(err).Msg("stopped")
		return 1
	}
	return 0
}

// serve runs a plugin for every resource.
func serve(ctx context.Context, o options, log zerolog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)
	plugins := map[string]*plugin{}
	for _, name := range o.resources {
		if plugins[name] == nil {
			plugins[name] = newPlugin(name, o.dir, log.With().Str("resource", name).Logger())
			group.Go(func() error { return plugins[name].Run(ctx) })
		}
	}
	group.Go(func() error {
		tick := time.NewTicker(o.interval)
		defer tick.Stop()
		for {
			found, err := devices(o.sys)
			if err != nil {
				// What could be read counts: one broken card hides no other.
				log.Warn().Err(err).Msg("cannot read all devices")
			}
			served := byResource(found, o.resources, o.shared)
			for name, p := range plugins {
				p.Update(served[name])
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
	return group.Wait()
}

// devices finds the node's accelerators.
func devices(sys string) ([]discovery.Device, error) {
	var out []discovery.Device
	var errs []error
	for _, find := range []func(string) ([]discovery.Device, error){discovery.GPUs, discovery.NPUs, discovery.FPGAs, discovery.Sticks} {
		found, err := find(sys)
		out = append(out, found...)
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}
