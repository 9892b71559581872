package program

import (
	"fmt"
	"io"

	"github.com/go-logr/zerologr"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// logFlags configure the log.
type logFlags struct {
	level, format string
}

// add declares the flags.
func (f *logFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.level, "log-level", "info", "lowest level that is logged: debug, info, warn or error")
	fs.StringVar(&f.format, "log-format", "json", "format of the log: json, or text for people")
}

// check rejects values that make no sense.
func (f *logFlags) check() error {
	if _, err := zerolog.ParseLevel(f.level); err != nil || f.level == "" {
		return fmt.Errorf("--log-level %q: choose debug, info, warn or error", f.level)
	}
	if f.format != "json" && f.format != "text" {
		return fmt.Errorf("--log-format %q: choose json or text", f.format)
	}
	return nil
}

// logger returns the program's logger, and sets it for the Kubernetes libraries
// too, so that all logs have one format.
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
