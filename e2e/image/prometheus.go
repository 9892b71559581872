package image

import (
	"context"

	"heteroaccel.io/e2e/cluster"
)

// prometheus is Prometheus compiled from its published module, with the one
// kind of service discovery that a cluster needs. It has no web page, whose
// parts the module lacks: the API answers.
func (b *builder) prometheus(ctx context.Context) (Image, error) {
	return b.compile(ctx, program{
		name: "prometheus", dir: "e2e/prometheus", user: nobody,
		source: cluster.Static{
			Package: "github.com/prometheus/prometheus/cmd/prometheus",
			Tags:    []string{"remove_all_sd", "enable_kubernetes_sd"},
		},
	})
}
