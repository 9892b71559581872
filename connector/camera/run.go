package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"heteroaccel.io/connector/camera/client"
	"heteroaccel.io/connector/camera/frame"
	"heteroaccel.io/connector/camera/playback"
)

// run runs the cameras until ctx or the duration ends, or one of them fails, and
// writes the report.
func run(ctx context.Context, f flags, out io.Writer, log zerolog.Logger) error {
	reel, err := f.reel()
	if err != nil {
		return err
	}
	transport, err := f.transport()
	if err != nil {
		return err
	}
	var cancel context.CancelFunc
	if f.duration > 0 {
		ctx, cancel = context.WithTimeout(ctx, f.duration)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	tally := playback.NewTally()
	group, ctx := errgroup.WithContext(ctx)
	for n := range f.cameras {
		log := log.With().Int("camera", n).Logger()
		connector, err := client.New(client.Config{
			URL: f.connector, HTTP: &http.Client{Transport: transport}, Token: tokenOf(f.tokenFile, n),
			Retrying: func(err error, pause time.Duration) {
				log.Warn().Err(err).Stringer("pause", pause).Msg("the connector is asked again")
			},
		})
		if err != nil {
			return err
		}
		c := &playback.Camera{
			Connector: connector, Ask: f.ask, Reel: reel,
			Every: time.Duration(float64(time.Second) / f.rate), Limit: f.limit,
			Model: cmp.Or(f.model, f.ask.Inference), HTTP: &http.Client{Transport: transport},
			Tally: tally, Log: log,
		}
		group.Go(func() error { return c.Run(ctx) })
	}
	err = group.Wait()
	if err := f.write(out, tally.Report(f.cameras)); err != nil {
		return err
	}
	return err
}

// reel reads the frames, nil where none are shown.
func (f *flags) reel() (*frame.Reel, error) {
	if !f.infer {
		return nil, nil
	}
	images, err := frame.Load(f.frames...)
	if err != nil {
		return nil, err
	}
	return frame.NewReel(images, frame.Pixels{BGR: f.colors == blueFirst, Scale: f.scale}), nil
}

// transport keeps a connection for each camera.
func (f *flags) transport() (*http.Transport, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: f.cameras, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("--connector-ca-file: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--connector-ca-file %s has no certificate: give a PEM file", f.ca)
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("--client-cert-file: %w", err)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

func (f *flags) write(out io.Writer, r playback.Report) error {
	if f.output == asTable {
		return r.Write(out)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
