// Extender is an HTTP extender of the stock kube-scheduler. It filters and scores
// nodes by their usable accelerators, and explains every placement on pages for
// people.
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
		Name:  "extender",
		About: "extender tells the stock kube-scheduler which nodes have a usable accelerator, and explains every placement.",
		Flags: f.add, Check: f.check, Health: "health-probe-bind-address",
		Run: func(ctx context.Context, log zerolog.Logger) error {
			return run(ctx, f, prometheus.NewRegistry(), log)
		},
	})
}
