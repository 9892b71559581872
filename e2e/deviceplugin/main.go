// Command deviceplugin serves a node's accelerators to the kubelet, as the
// vendors' device plugins do, where there is no hardware for those: on the
// nodes of a test, whose accelerators are a sysfs tree and files in /dev.
//
// It finds devices as the exporter does, names them as the vendors' plugins do,
// and logs, a line of JSON each, every allocation, registration and change of
// health. It never touches a device and never talks to the API server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the values of the flags.
type options struct {
	sys, dev, dir    string
	interval, forget time.Duration
	naming           naming
}

// exists tells whether a file that the node calls /dev/… is there.
func (o options) exists(file string) bool {
	rest, err := filepath.Rel("/dev", file)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(o.dev, rest))
	return err == nil
}

// run is the program: it ends with ctx and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	switch {
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

// parse reads the flags, and writes the help to out when it is asked for.
func parse(args []string, out io.Writer) (options, error) {
	var o options
	fs := pflag.NewFlagSet("deviceplugin", pflag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&o.sys, "sys", "/sys", "where the host's sysfs is mounted")
	fs.StringVar(&o.dev, "dev", "/dev", "where the host's /dev is mounted: a container is given the files that are there")
	fs.StringVar(&o.dir, "dir", api.DevicePluginPath, "the kubelet's directory of device plugins")
	fs.DurationVar(&o.interval, "interval", time.Second, "how often to look for devices")
	fs.DurationVar(&o.forget, "forget", 10*time.Second, "how long a device that is gone is listed as unhealthy, before it is dropped")
	fs.StringToStringVar(&o.naming.resources, "resource", nil, "which driver's or kind's devices are served as which resource, such as i915=gpu.intel.com/i915,FPGA=fpga.intel.com/arria10.dcp1.2-nlb0; others as the plugin of their driver does, FPGAs not at all")
	fs.StringToIntVar(&o.naming.shared, "shared", nil, "how many pods may share a device of a resource, where it is more than one, such as gpu.intel.com/i915=2")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	if fs.NArg() > 0 {
		return options{}, fmt.Errorf("%q is not a flag", fs.Arg(0))
	}
	if o.interval <= 0 || o.forget < 0 {
		return options{}, errors.New("--interval must be more than 0, --forget not less")
	}
	for resource, n := range o.naming.shared {
		if n < 1 {
			return options{}, fmt.Errorf("--shared %s=%d: a device has 1 slot at least", resource, n)
		}
	}
	return o, nil
}
