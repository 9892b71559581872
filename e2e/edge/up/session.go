package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	camera "heteroaccel.io/connector/camera/client"
	"heteroaccel.io/e2e/edge"
	"heteroaccel.io/e2e/narrate"
)

const (
	client    = "camera"
	wanted    = `{"inference": "face-recognition", "ttl": "1h"}`
	inferPath = "/v2/models/face-recognition/infer"
)

// session has a client ask the connector for an inference, and send a picture
// to the address that it gets.
func (s show) session(ctx context.Context) error {
	narrate.Title("A client that asks the connector")
	_, token, err := s.NewClient(ctx, client)
	if err != nil {
		return err
	}
	fmt.Printf("$ TOKEN=$(kubectl create token %s)\n", client)
	fmt.Printf("$ curl -X POST -H \"Authorization: Bearer $TOKEN\" -H 'Prefer: wait=60' \\\n    --json '%s' %s/v1/sessions\n", wanted, s.Connector)
	said, err := curl(ctx, "-X", "POST", "-H", "Authorization: Bearer "+token, "-H", "Prefer: wait=60", "--json", wanted, s.Connector+"/v1/sessions")
	if err != nil {
		return err
	}
	var got camera.Session
	if err := json.Unmarshal(said, &got); err != nil {
		return fmt.Errorf("read the connector's answer: %w: %s", err, said)
	}
	if got.Address == "" {
		return fmt.Errorf("%w: after a minute the session has no address: %s", narrate.ErrShown, said)
	}
	fmt.Printf("  address %s\n  kind    %s on node %s\n%s\n\n", got.Address, got.Kind, got.Node, narrate.Wrap("  reason  ", got.Reason))

	fmt.Printf("$ kubectl run picture --image=%s --restart=Never -- --request face-recognition=%s\n", edge.ClientImage, got.Address)
	request, err := s.Say(ctx, "picture", "--request", "face-recognition="+got.Address)
	if err != nil {
		return err
	}
	file := filepath.Join(s.Dir(), "face.json")
	fmt.Printf("$ kubectl logs picture > %s\n", file)
	if err := os.WriteFile(file, []byte(request), 0o600); err != nil {
		return fmt.Errorf("write the picture's request: %w", err)
	}
	url := "http://" + got.Address + inferPath
	fmt.Printf("$ curl --json @%s %s\n", file, url)
	if said, err = curl(ctx, "--json", "@"+file, url); err != nil {
		return err
	}
	return face(said)
}

// face prints an answer, and fails unless a face was found.
func face(said []byte) error {
	var answer struct {
		Outputs []struct {
			Name, Datatype string
			Shape          []int
			Data           []float64
		}
	}
	if err := json.Unmarshal(said, &answer); err != nil {
		return fmt.Errorf("read the inference server's answer: %w: %.300s", err, said)
	}
	score := 0.0
	for _, o := range answer.Outputs {
		fmt.Printf("  output  %s, %s %v: %d numbers\n", o.Name, o.Datatype, o.Shape, len(o.Data))
		if len(o.Data) > 0 && o.Shape[len(o.Shape)-1] == 1 { // one score for each place
			score = 1 / (1 + math.Exp(-slices.Max(o.Data)))
		}
	}
	fmt.Printf("  face    %.0f %% sure\n", 100*score)
	if score < 0.5 {
		return fmt.Errorf("%w: there is a face in the picture, and the server found none", narrate.ErrShown)
	}
	return nil
}

func curl(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "curl", append([]string{"-sS", "--fail-with-body", "--max-time", "90"}, args...)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("curl: %w: %.300s", err, out)
	}
	return out, nil
}
