package monitor

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

// Flags choose where samples come from, and how old they may get.
type Flags struct {
	Source   Source
	Interval time.Duration
	// MaxAge is how old a sample may be and still count.
	MaxAge time.Duration

	spec string
}

// Add declares the flags.
func (f *Flags) Add(fs *pflag.FlagSet) {
	fs.StringVar(&f.spec, "samples", "none", "where samples come from: prometheus=URL, exporters=URL[,URL…], exporters=dns+URL for every address of a name, or none")
	fs.DurationVar(&f.Interval, "sample-interval", DefaultInterval, "how often samples are read")
	fs.DurationVar(&f.MaxAge, "max-sample-age", 15*time.Second, "older than this a node is stale: Kubernetes' own accounting alone counts there")
}

// Check refuses values that mean nothing, and makes the Source.
func (f *Flags) Check() (err error) {
	if f.Interval <= 0 || f.MaxAge <= 0 {
		return errors.New("--sample-interval and --max-sample-age must be longer than 0")
	}
	if f.Source, err = Parse(f.spec); err != nil {
		return fmt.Errorf("--samples: %w", err)
	}
	return nil
}
