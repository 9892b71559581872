package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"heteroaccel.io/connector/camera/client"
)

// flags are the command line.
type flags struct {
	connector string
	tokenFile string
	ca        string
	cert, key string
	ask       client.Request

	cameras  int
	duration time.Duration

	infer  bool
	frames []string
	rate   float64
	model  string
	limit  time.Duration
	colors string
	scale  float64

	output string
}

// Formats of the report.
const (
	asTable = "table"
	asJSON  = "json"
)

// Orders of a pixel's colours.
const (
	redFirst  = "rgb"
	blueFirst = "bgr"
)

func (f *flags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.connector, "connector", "http://127.0.0.1:8090", "where the connector is")
	fs.StringVar(&f.tokenFile, "token-file", "", "file with a token in each line, which cameras take in turn; what follows a comma is ignored, so it may be the connector's --token-auth-file; read again for each request")
	fs.StringVar(&f.ca, "connector-ca-file", "", "certificates of the CAs of the connector's certificate; default: the system's")
	fs.StringVar(&f.cert, "client-cert-file", "", "certificate that the cameras are known by")
	fs.StringVar(&f.key, "client-key-file", "", "private key file of --client-cert-file")
	fs.StringVar(&f.ask.Inference, "inference", "", "what to infer: the name of an InferenceProfile; required")
	fs.StringVar(&f.ask.Accelerator, "accelerator", "any", "any, or the kinds allowed in order of preference, such as gpu,npu")
	fs.StringVar(&f.ask.TTL, "ttl", "", "how long a session lives without being renewed; default: the connector's")
	fs.StringVar(&f.ask.Near, "near", "", "node: prefer a server on the node that the connector runs on")
	fs.Int32Var(&f.ask.Priority, "priority", 0, "higher is ahead in the queue")
	fs.IntVar(&f.cameras, "cameras", 1, "how many cameras, each with a session of its own")
	fs.DurationVar(&f.duration, "duration", 0, "how long to run; 0 until it is stopped")
	fs.BoolVar(&f.infer, "infer", true, "show frames to the server; without it the cameras only have sessions")
	fs.StringSliceVar(&f.frames, "frames", nil, "PNG or JPEG files, or folders of them, that are shown over and over")
	fs.Float64Var(&f.rate, "rate", 10, "how many frames a second each camera shows")
	fs.StringVar(&f.model, "model", "", "name of the model on the server; default: --inference")
	fs.DurationVar(&f.limit, "frame-timeout", 5*time.Second, "how long the inference of a frame may take before the frame is lost")
	fs.StringVar(&f.colors, "color-order", redFirst, "order of the colours that the model takes: rgb or bgr")
	fs.Float64Var(&f.scale, "pixel-scale", 1, "what pixels' values, 0 to 255, are multiplied by for a model that takes floats")
	fs.StringVarP(&f.output, "output", "o", asTable, "format of the report: table or json")
}

func (f *flags) check() error {
	switch {
	case f.ask.Inference == "":
		return errors.New("--inference is missing: give the name of an InferenceProfile, such as face-recognition")
	case f.cameras < 1:
		return fmt.Errorf("--cameras %d: give at least 1", f.cameras)
	case f.duration < 0:
		return fmt.Errorf("--duration %s: give a time, or 0 to run until stopped", f.duration)
	case f.infer && len(f.frames) == 0:
		return errors.New("--frames is missing: give PNG or JPEG files, or --infer=false to show none")
	case !(f.rate > 0 && f.rate <= 1000):
		return fmt.Errorf("--rate %g: give more than 0 and at most 1000 frames a second", f.rate)
	case f.limit <= 0:
		return fmt.Errorf("--frame-timeout %s: give more than 0", f.limit)
	case f.colors != redFirst && f.colors != blueFirst:
		return fmt.Errorf("--color-order %q: give rgb or bgr", f.colors)
	case !(f.scale > 0):
		return fmt.Errorf("--pixel-scale %g: give more than 0", f.scale)
	case (f.cert == "") != (f.key == ""):
		return errors.New("--client-cert-file and --client-key-file go together: give both or neither")
	case f.output != asTable && f.output != asJSON:
		return fmt.Errorf("--output %q: give table or json", f.output)
	}
	if _, err := client.New(client.Config{URL: f.connector, HTTP: http.DefaultClient}); err != nil {
		return fmt.Errorf("--connector: %w", err)
	}
	return nil
}
