package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
)

// Exit codes.
const (
	ExitOK     = 0
	ExitFailed = 1 // it could not start, or ended with an error
	ExitUsage  = 2 // the command line was wrong
)

// Program describes a program.
type Program struct {
	// Name is that of the executable.
	Name string
	// About is one sentence on what it does.
	About string
	// Flags declares its flags.
	Flags func(*pflag.FlagSet)
	// Check rejects flags' values that make no sense, with a sentence that says what
	// to give.
	Check func() error
	// Health is the name of the flag with the address of /readyz and /healthz, HTTP,
	// which "healthcheck" asks; "" for a program that has none.
	Health string
	// Run runs it until ctx ends.
	Run func(ctx context.Context, log zerolog.Logger) error
}

// Main runs a program and exits.
func Main(p Program) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(p.run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is Main without the process, and returns the exit code.
func (p Program) run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if p.Health != "" && len(args) > 0 && args[0] == "healthcheck" {
		return p.healthcheck(ctx, args[1:], stdout, stderr)
	}
	var log logFlags
	version, err := p.parse(args, &log, stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return ExitOK
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return ExitUsage
	case version:
		fmt.Fprintf(stdout, "%s %s\n", p.Name, Version())
		return ExitOK
	}
	logger := log.logger(stderr, p.Name)
	if err := p.Run(ctx, logger); err != nil {
		logger.Error().Err(err).Msg("stopped")
		return ExitFailed
	}
	return ExitOK
}

// Parse reads a command line as Main does, and runs nothing.
func (p Program) Parse(args ...string) error {
	_, err := p.parse(args, &logFlags{}, io.Discard)
	return err
}

// parse reads the command line; help goes to stdout.
func (p Program) parse(args []string, log *logFlags, stdout io.Writer) (version bool, err error) {
	fs := pflag.NewFlagSet(p.Name, pflag.ContinueOnError)
	fs.SortFlags = false
	fs.SetOutput(stdout)
	fs.Usage = func() {
		fmt.Fprintf(stdout, "%s\n\nUsage: %s [flags]\n\n%s", p.About, p.Name, fs.FlagUsagesWrapped(100))
		if p.Health != "" {
			fmt.Fprintf(stdout, "\nWhether it is ready, for the health check of a container: %s healthcheck\n", p.Name)
		}
	}
	p.Flags(fs)
	log.add(fs)
	fs.BoolVar(&version, "version", false, "print the version and exit")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return false, err
		}
		return false, fmt.Errorf("%w: see --help", err)
	}
	if version {
		return true, nil
	}
	if fs.NArg() > 0 {
		return false, fmt.Errorf("unknown argument %q: everything is set by flags, see --help", fs.Arg(0))
	}
	return false, errors.Join(p.Check(), log.check())
}

// release is the version of a release, set by the linker.
var release string

// Version is the release, or else the commit that the program was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case release != "":
		return release
	case !ok:
		return "unknown"
	}
	commit, changed := "unknown", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				changed = ", with changes"
			}
		}
	}
	return fmt.Sprintf("development (commit %s%s, %s)", commit, changed, info.GoVersion)
}

// EnvOr is an environment variable, or something else where it is not set.
func EnvOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
