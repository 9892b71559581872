package program

import (
	"fmt"
	"io"

	"github.com/go-logr/zerologr"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// logFlags choose what a program logs, and how.
type logFlags struct {
	level, format string
}

// add declares the flags.
func (f *logFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.level, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&f.format, "log-format", "json", "json, or text for people")
}

// check refuses values that mean nothing.
func (f *logFlags) check() error {
	if _, err := zerolog.ParseLevel(f.level); err != nil || f.level == "" {
		return fmt.Errorf("--log-level %q: choose debug, info, warn or error", f.level)
	}
	if f.format != "json" && f.format != "text" {
		return fmt.Errorf("--log-format %q: choose json or text", f.format)
	}
	return nil
}

// logger makes the program's logger, and hands it to the Kubernetes libraries
// as well, so that everything comes out one way.
func (f *logFlags) logger(out io.Writer, program string) zerolog.Logger {
	if f.format == "text" {
		out = zerolog.ConsoleWriter{Out: out, NoColor: true, TimeFormat: "15:04:05.000"}
	}
	level, err := zerolog.ParseLevel(f.level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	log := zerolog.New(out).Level(level).With().Timestamp().Str("program", program).Logger()
	klog.SetLogger(zerologr.New(&log))
	return log
}
