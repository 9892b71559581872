package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"

	"heteroaccel.io/pkg/healthcheck"
)

// health is the command line of a program's healthcheck.
type health struct {
	address, path string
	timeout       time.Duration
}

// healthcheck asks the running program, and returns the exit code.
func (p Program) healthcheck(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	t, err := p.parseHealth(args, stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return ExitOK
	case err != nil:
		fmt.Fprintf(stderr, "%s healthcheck: %v\n", p.Name, err)
		return ExitUsage
	}
	sentence, err := healthcheck.Ask(ctx, t)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return ExitFailed
	}
	fmt.Fprintln(stdout, sentence)
	return ExitOK
}

// parseHealth reads the command line of healthcheck; help goes to stdout.
func (p Program) parseHealth(args []string, stdout io.Writer) (healthcheck.Target, error) {
	own := pflag.NewFlagSet(p.Name, pflag.ContinueOnError)
	p.Flags(own)
	var h health
	fs := pflag.NewFlagSet(p.Name+" healthcheck", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.SetOutput(stdout)
	fs.Usage = func() {
		fmt.Fprintf(stdout, "Ask the %[1]s that runs on this machine, or in this container, whether it is ready: "+
			"prints one sentence, and exits with 0 if it is, else with 1.\n\nUsage: %[1]s healthcheck [flags]\n\n%[2]s",
			p.Name, fs.FlagUsagesWrapped(100))
	}
	fs.StringVar(&h.address, p.Health, own.Lookup(p.Health).DefValue, "what --"+p.Health+" is for the program that runs")
	fs.StringVar(&h.path, "path", "/readyz", "page that tells; /healthz tells only whether the program is alive")
	fs.DurationVar(&h.timeout, "timeout", 2*time.Second, "how long the answer may take")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return healthcheck.Target{}, err
		}
		return healthcheck.Target{}, fmt.Errorf("%w: see --help", err)
	}
	if fs.NArg() > 0 {
		return healthcheck.Target{}, fmt.Errorf("unknown argument %q: everything is set by flags, see --help", fs.Arg(0))
	}
	url, err := healthcheck.Local(h.address, h.path)
	if err != nil {
		return healthcheck.Target{}, fmt.Errorf("--%s: %w", p.Health, err)
	}
	t := healthcheck.Target{URL: url, Timeout: h.timeout}
	return t, t.Check()
}
