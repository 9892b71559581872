// Webhook is the mutating admission webhook: it gives annotated pods the
// accelerator that is best for them, when they are created and again while they
// wait.
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
		Name:  "webhook",
		About: "webhook gives annotated pods the accelerator that is best for them when they are created, and again while they wait.",
		Flags: f.add, Check: f.check, Health: "health-probe-bind-address",
		Run: func(ctx context.Context, log zerolog.Logger) error {
			return run(ctx, f, prometheus.NewRegistry(), log)
		},
	})
}
