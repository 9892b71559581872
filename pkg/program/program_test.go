package program

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
)

func TestRun(t *testing.T) {
	tests := map[string]struct {
		args           []string
		code           int
		stdout, stderr string // parts of them
	}{
		"runs":        {[]string{"--size=2"}, ExitOK, "", `"program":"tool"`},
		"fails":       {[]string{"--size=3"}, ExitFailed, "", `"error":"too large"`},
		"as text":     {[]string{"--size=3", "--log-format=text"}, ExitFailed, "", "ERR stopped error=\"too large\""},
		"help":        {[]string{"--help"}, ExitOK, "Tool measures.\n\nUsage: tool [flags]\n\n      --size int", ""},
		"version":     {[]string{"--version"}, ExitOK, "tool development (commit ", ""},
		"refused":     {[]string{"--size=-1"}, ExitUsage, "", "tool: --size -1: give at least 0\n"},
		"no flag":     {[]string{"--sighs=1"}, ExitUsage, "", "tool: unknown flag: --sighs: see --help\n"},
		"an argument": {[]string{"now"}, ExitUsage, "", `tool: unknown argument "now": everything is set by flags, see --help`},
		"log level":   {[]string{"--log-level=loud"}, ExitUsage, "", `--log-level "loud": choose debug, info, warn or error`},
		"log format":  {[]string{"--log-format=xml"}, ExitUsage, "", `--log-format "xml": choose json or text`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var size int
			p := Program{
				Name: "tool", About: "Tool measures.",
				Flags: func(fs *pflag.FlagSet) { fs.IntVar(&size, "size", 0, "size in metres") },
				Check: func() error {
					if size < 0 {
						return errors.New("--size -1: give at least 0")
					}
					return nil
				},
				Run: func(_ context.Context, log zerolog.Logger) error {
					log.Info().Msg("measured")
					if size > 2 {
						return errors.New("too large")
					}
					return nil
				},
			}
			var stdout, stderr bytes.Buffer
			if code := p.run(t.Context(), tt.args, &stdout, &stderr); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, out := range []struct{ got, want string }{{stdout.String(), tt.stdout}, {stderr.String(), tt.stderr}} {
				if !strings.Contains(out.got, out.want) || out.want == "" && out.got != "" {
					t.Errorf("it printed\n%s\nwant %q in it", out.got, out.want)
				}
			}
		})
	}
}
