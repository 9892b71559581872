package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/connector/camera/client"
	"heteroaccel.io/e2e/curl"
	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/pkg/accel"
)

const inference = "face-recognition"

// limit is far more than a session needs on a busy machine.
const limit = time.Minute

// camera is the paper's flow: a camera asks for an inference, and gets the address
// of a running server.
func (d demo) camera(ctx context.Context) error {
	narrate.Title("1. A camera asks for an inference")
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	seen, err := observe(ctx, d.Stack)
	if err != nil {
		return err
	}
	before, decided, err := decisions(ctx, d.Stack)
	if err != nil {
		return err
	}
	connector, err := client.New(client.Config{URL: d.URL("connector", "")})
	if err != nil {
		return err
	}
	holding, end := context.WithCancel(ctx)
	defer end()
	asks := &asking{served: make(chan struct{})}
	done := make(chan error, 1)
	began := time.Now()
	go func() { done <- connector.Hold(holding, client.Request{Inference: inference}, asks.tell) }()
	select {
	case <-asks.served:
	case err := <-done:
		return fmt.Errorf("%w: the camera has no server: %w", narrate.ErrShown, err)
	}
	var server served
	if err := poll.Until(ctx, func(context.Context) (err error) { server, err = seen.all(); return err }); err != nil {
		return fmt.Errorf("%w: %w", narrate.ErrShown, err)
	}
	after, decidedThen, err := decisions(ctx, d.Stack)
	if err != nil {
		return err
	}
	placed, err := d.placed(ctx, server)
	if err != nil {
		return err
	}
	times := decidedThen - decided
	if times < 1 {
		return fmt.Errorf("%w: the webhook decided nothing", narrate.ErrShown)
	}
	accepted, address, s := asks.all()
	container := server.pod.Spec.Containers[0]
	steps := []narrate.Step{
		{Name: "the camera asks the connector for " + inference, Seen: "session " + s.ID, At: accepted},
		{Name: "the webhook matches idle devices with the inference's variants", Seen: server.pod.Annotations[accel.ReasonAnnotation], Took: (after - before) / time.Duration(times)},
		{Name: "the pod with the chosen variant is created", Seen: fmt.Sprintf("%s: %s", server.pod.Name, container.Image), At: server.created},
	}
	steps = append(append(steps, placed...),
		narrate.Step{Name: "the inference server is ready", Seen: "says the kubelet, which is simulated: no model was loaded", At: server.ready},
		narrate.Step{Name: "the connector gives the server to the session", Seen: "written to the session's Lease", At: server.given},
		narrate.Step{Name: "the camera has the address", Seen: fmt.Sprintf("%s, %s on node %s", s.URL, s.Kind, s.Node), At: address},
	)
	if err := narrate.WriteSteps(os.Stdout, began, steps...); err != nil {
		return err
	}
	end()
	if err := <-done; err != nil {
		return err
	}
	return poll.Until(ctx, func(ctx context.Context) error { return noneLeft(ctx, d.Stack) })
}

// placed are the steps by which a server's pod got its node and its device.
func (d demo) placed(ctx context.Context, server served) ([]narrate.Step, error) {
	if d.late {
		device := server.pod.Annotations[accel.DeviceAnnotation]
		return []narrate.Step{{Name: "kube-scheduler allocates the claim's device, and binds the pod", Seen: fmt.Sprintf("node %s, device %s", server.pod.Spec.NodeName, device), At: server.bound}}, nil
	}
	filter, err := asked(ctx, d.Stack, server.pod.Name)
	if err != nil {
		return nil, err
	}
	return []narrate.Step{
		{Name: "kube-scheduler asks the extender which nodes have such a device", Seen: fmt.Sprintf("%d passed, %d rejected", filter.Passed, filter.Rejected), At: filter.Time},
		{Name: "the pod is bound, and holds its device", Seen: fmt.Sprintf("node %s, %s", server.pod.Spec.NodeName, held(server.pod.Spec.Containers[0])), At: server.bound},
	}, nil
}

// held are the devices that a container holds.
func held(c corev1.Container) string {
	for name, q := range c.Resources.Limits {
		if accel.IsDeviceResource(name) {
			return fmt.Sprintf("%s: %s", name, q.String())
		}
	}
	return "no device but the CPU"
}

// asking is what a camera is told of its session.
type asking struct {
	served chan struct{}

	mu                sync.Mutex
	accepted, address time.Time
	session           client.Session
}

func (a *asking) tell(s client.Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first(&a.accepted, s.ID != "")
	if s.URL != "" && a.address.IsZero() {
		a.address, a.session = time.Now(), s
		close(a.served)
	}
}

func (a *asking) all() (accepted, address time.Time, s client.Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.accepted, a.address, a.session
}

// ask is the command that asks the connector at an address for a server.
func ask(connector string) string {
	return "curl -s -X POST " + connector + `/v1/sessions -H 'Content-Type: application/json'` +
		" \\\n  -H 'Prefer: wait=30' -d '{\"inference\": \"" + inference + "\"}'"
}

// typed is the same by hand: one command, and address, kind and reason come back.
func (d demo) typed(ctx context.Context) error {
	command := ask(d.URL("connector", ""))
	fmt.Printf("\nThe same by hand:\n\n$ %s\n", command)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := curl.Run(ctx, command, os.Getenv)
	if err != nil {
		return fmt.Errorf("%w: the connector refuses: %w", narrate.ErrShown, err)
	}
	fmt.Print(answer)
	var s client.Session
	if err := json.Unmarshal([]byte(answer), &s); err != nil || s.Address == "" || s.Kind == "" || s.Reason == "" {
		return fmt.Errorf("%w: the answer lacks address, kind or reason", narrate.ErrShown)
	}
	if _, err := curl.Run(ctx, "curl -X DELETE "+d.URL("connector", "/v1/sessions/"+s.ID), os.Getenv); err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	return poll.Until(ctx, func(ctx context.Context) error { return noneLeft(ctx, d.Stack) })
}
