// Connector is the door for cameras: a client asks for an inference and gets the
// address of a running inference server.
package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/program"
)

func main() {
	var f flags
	program.Main(program.Program{
		Name:  "connector",
		About: "connector gives clients that ask for an inference the address of a running inference server.",
		Flags: f.add, Check: f.check, Health: "health-probe-bind-address",
		Run: func(ctx context.Context, log zerolog.Logger) error {
			return run(ctx, f, prometheus.NewRegistry(), log)
		},
	})
}
