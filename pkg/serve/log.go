package serve

import (
	"fmt"
	"io"

	"github.com/go-logr/zerologr"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// LogFlags choose what a program logs, and how.
type LogFlags struct {
	level, format string
}

// Add declares the flags.
func (f *LogFlags) Add(fs *pflag.FlagSet) {
	fs.StringVar(&f.level, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&f.format, "log-format", "json", "json, or text for people")
}

// Check refuses values that mean nothing.
func (f *LogFlags) Check() error {
	if _, err := zerolog.ParseLevel(f.level); err != nil || f.level == "" {
		return fmt.Errorf("--log-level %q: choose debug, info, warn or error", f.level)
	}
	if f.format != "json" && f.format != "text" {
		return fmt.Errorf("--log-format %q: choose json or text", f.format)
	}
	return nil
}

// Logger makes the program's logger, and hands it to the Kubernetes libraries
// as well, so that everything comes out one way.
func (f *LogFlags) Logger(out io.Writer, program string) zerolog.Logger {
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
