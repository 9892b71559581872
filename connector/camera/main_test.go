package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"heteroaccel.io/connector/camera/cameratest"
	"heteroaccel.io/connector/camera/playback"
	"heteroaccel.io/pkg/program"
	"heteroaccel.io/pkg/serve/servetest"
)

// frames is a folder with one frame.
func frames(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	f, err := os.Create(filepath.Join(folder, "1.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	return folder
}

// tokens is a file with a token, as the connector has it.
func tokens(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parse reads a command line as main does.
func parse(args ...string) (f flags, err error) {
	err = program.Program{Name: "camera", Flags: func(fs *pflag.FlagSet) { f.add(fs) }, Check: func() error { return f.check() }}.Parse(args...)
	return f, err
}

func TestFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		args, want string // of the error; "" for none
	}{
		"sessions only":    {"--inference=x --infer=false", ""},
		"frames":           {"--inference=x --frames=a.png,b --rate=.5 -o json", ""},
		"no inference":     {"--frames=a", "--inference is missing: give the name"},
		"no frames":        {"--inference=x", "--frames is missing: give PNG or JPEG files, or --infer=false"},
		"no cameras":       {"--inference=x --infer=false --cameras=0", "give at least 1"},
		"no rate":          {"--inference=x --frames=a --rate=0", "more than 0"},
		"absurd rate":      {"--inference=x --frames=a --rate=NaN", "more than 0"},
		"back in time":     {"--inference=x --infer=false --duration=-1s", "or 0 to run until stopped"},
		"no time":          {"--inference=x --infer=false --frame-timeout=0", "more than 0"},
		"colours":          {"--inference=x --infer=false --color-order=cmyk", "give rgb or bgr"},
		"scale":            {"--inference=x --infer=false --pixel-scale=-1", "more than 0"},
		"half a pair":      {"--inference=x --infer=false --client-cert-file=x", "give both or neither"},
		"format":           {"--inference=x --infer=false -o yaml", "give table or json"},
		"no address":       {"--inference=x --infer=false --connector=connector", "give one like http://connector:8090"},
		"of another world": {"--inference=x --infer=false x", "unknown argument"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.Fields(tt.args)...)
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestRun: many cameras show their frames, end their sessions when they are
// stopped, and report.
func TestRun(t *testing.T) {
	const cameras = 20
	door, s := cameratest.NewConnector(t), cameratest.NewServer(t, true, "UINT8", 1, 3, 4, 4)
	door.Serve(s.Address)
	f, err := parse("--connector", door.URL, "--token-file", tokens(t, "\n"+cameratest.Token+",hall\n"), "--inference", cameratest.Inference,
		"--frames", frames(t), "--rate", "50", "--cameras", "20", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- run(ctx, f, &out, zerolog.Nop()) }()
	servetest.Eventually(t, "frames are inferred on", func() bool { n, _ := s.Inferred(); return n > 3*cameras && door.Sessions() == cameras })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var r playback.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Cameras != cameras || r.Sessions != cameras || r.Waits.Count != cameras || r.Frames.Answered+r.Frames.Cut < 3*cameras || r.Frames.Answered == 0 || r.Latency.P50 <= 0 {
		t.Errorf("it reports %s", out.String())
	}
	if door.Sessions() != 0 {
		t.Errorf("%d sessions are left", door.Sessions())
	}
}

// TestDuration: it ends by itself, with a table.
func TestDuration(t *testing.T) {
	door := cameratest.NewConnector(t)
	door.Serve("192.0.2.1:8080")
	f, err := parse("--connector", door.URL, "--token-file", tokens(t, cameratest.Token), "--inference", cameratest.Inference, "--infer=false", "--duration=100ms", "--cameras=3")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), f, &out, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cameras   3 for 0.", "sessions  3, 0 ended early, 0 moves", "wait for a server  3"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it prints\n%s\nwant %q in it", out.String(), want)
		}
	}
}

// TestWrong: what is wrong with files, or refused, is said in a sentence.
func TestWrong(t *testing.T) {
	door := cameratest.NewConnector(t)
	for name, tt := range map[string]struct{ args, want string }{
		"no frames":         {"--frames=" + filepath.Join(t.TempDir(), "none"), "give PNG or JPEG files"},
		"empty token file":  {"--infer=false --token-file=" + tokens(t, "\n"), "has no token: write one into its first line"},
		"no token file":     {"--infer=false --token-file=" + filepath.Join(t.TempDir(), "none"), "--token-file"},
		"no CA":             {"--infer=false --connector-ca-file=" + tokens(t, "x"), "has no certificate: give a PEM file"},
		"no certificate":    {"--infer=false --client-cert-file=none --client-key-file=none", "--client-cert-file"},
		"another's token":   {"--infer=false --token-file=" + tokens(t, "guessed"), "401"},
		"unknown inference": {"--infer=false --inference=faces --token-file=" + tokens(t, cameratest.Token), "known are face-recognition"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := parse(append([]string{"--connector", door.URL, "--inference", cameratest.Inference}, strings.Fields(tt.args)...)...)
			if err != nil {
				t.Fatal(err)
			}
			if err := run(t.Context(), f, &bytes.Buffer{}, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}
