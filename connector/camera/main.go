// Camera plays frames from image files as a camera would: it asks the connector for
// an inference, shows its frames to the server whose address it gets, follows the
// session when that moves, and reports latencies and lost frames. With --cameras it
// is as many cameras as a test of load needs.
package main

import (
	"context"
	"os"

	"github.com/rs/zerolog"

	"heteroaccel.io/pkg/program"
)

func main() {
	var f flags
	program.Main(program.Program{
		Name:  "camera",
		About: "camera shows frames from image files to the inference servers that the connector gives it.",
		Flags: f.add, Check: f.check,
		Run: func(ctx context.Context, log zerolog.Logger) error {
			return run(ctx, f, os.Stdout, log)
		},
	})
}
