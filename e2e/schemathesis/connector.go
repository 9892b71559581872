package schemathesis

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Profiles are what the connector under test has to know, as manifests: one
// inference whose servers take many sessions, and one that has no servers. Of the
// kind FPGA there is to be no device: its sessions wait.
const Profiles = `
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: shared}
spec:
  sessionsPerPod: 1024
  template:
    spec:
      containers:
      - name: inference
        image: heteroaccel/shared
        ports: [{containerPort: 8080}]
  variants:
  - {accelerator: CPU, image: heteroaccel/shared, limits: {cpu: "1"}}
  - {accelerator: FPGA, image: heteroaccel/shared, limits: {fpga.intel.com/nobody-has: "1"}}
---
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: without-template}
spec:
  variants:
  - {accelerator: CPU, image: heteroaccel/shared, limits: {cpu: "1"}}
`

//go:embed connector.toml
var config []byte

// checks are what is looked at in each answer. Two are left out: that a valid
// request is accepted, since the document cannot say which inferences there are,
// and that what was created is there, since a session may live for a second.
const checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance," +
	"negative_data_rejection,missing_required_header,unsupported_method,allow_header_conformance,use_after_free,ignored_auth"

// Connector sends the connector whose document is at a URL so many requests or
// more, single ones and beside them sequences of requests for the same session,
// and returns how many. The token is a client's.
func (s *Schemathesis) Connector(ctx context.Context, document, token string, fewest int) (requests int, err error) {
	dir, err := os.MkdirTemp("", "heteroaccel-schemathesis-*")
	if err != nil {
		return 0, fmt.Errorf("make a work directory: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "schemathesis.toml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return 0, fmt.Errorf("write the configuration: %w", err)
	}
	var sent atomic.Int64
	send := func(ctx context.Context, seed int, args ...string) error {
		// One worker: with several, the Python 3.11.2 of Debian 12 fails in its parser.
		n, err := s.Run(ctx, file, document, append([]string{
			"--header", "Authorization: Bearer " + token, "--checks", checks, "--seed", fmt.Sprint(seed), "--workers", "1", "--no-shrink",
		}, args...)...)
		sent.Add(int64(n))
		if err != nil {
			return fmt.Errorf("seed %d, %s: %w", seed, args, err)
		}
		return nil
	}
	single := make(chan struct{})
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		defer close(single)
		return send(ctx, 1, "--phases", "examples,coverage,fuzzing", "--max-examples", fmt.Sprint(max(10, fewest/20)))
	})
	both.Go(func() error {
		for seed := 2; ; seed++ {
			if err := send(ctx, seed, "--phases", "stateful", "--max-examples", "300", "--max-time", "15"); err != nil {
				return err
			}
			select {
			case <-single:
				if sent.Load() >= int64(fewest) {
					return nil
				}
			default:
			}
		}
	})
	err = both.Wait()
	return int(sent.Load()), err
}
