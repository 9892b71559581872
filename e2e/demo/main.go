// Demo shows the main job on a local control plane that it builds and starts
// itself: a camera asks for an inference and gets the address of a server, four
// inferences that name no accelerator land on four different ones, the same
// four pinned to the GPU by hand wait for each other, and a server is back on the GPU
// after a rollout.
//
// With BINDING=late the exporters publish the devices as DRA driver, pods are bound late,
// and in place of the last two scenes one that waits gets what frees.
//
// Programs of the control plane that the computer has, of the right version, are used in
// place of compiling them. With CONTROL_PLANE=compiled none is.
//
// It keeps the cluster up until Ctrl-C; with DEMO_EXIT=1 it ends by itself,
// and fails if what it showed is not what it claims.
package main

import (
	"context"
	"fmt"
	"os"

	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/narrate"
	"heteroaccel.io/e2e/stack"
)

func main() {
	narrate.Main(narrate.Demo{
		Name: "demo",
		About: "HeteroAccel demo: nodes G (GPU), F (FPGA) and N (NPU) of the paper, simulated;\n" +
			"API server, scheduler, webhook, extender, connector and exporters are the real ones.",
		Exit:  "DEMO_EXIT",
		Start: start,
	})
}

func start(ctx context.Context) (narrate.Stage, error) {
	late, err := narrate.LateBinding()
	if err != nil {
		return nil, err
	}
	installed, err := installed()
	if err != nil {
		return nil, err
	}
	config := stack.Config{Out: os.Stdout, Installed: installed}
	if late {
		config.Late, config.Drive, config.Machines, config.Webhook = true, true, machine.OnDRA(machine.Paper()), []string{"--binding=auto"}
	}
	s, err := stack.Start(ctx, config)
	if err != nil {
		return nil, err
	}
	n, err := narrate.New(s.Cluster)
	if err == nil {
		err = s.InstallConnector(ctx)
	}
	if err == nil {
		err = s.StartConnector(ctx, "connector", "--idle-timeout=1s")
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	fmt.Printf("\nLook on in a browser: %s\n", s.URL("extender", "/ui"))
	return demo{s, n, late}, nil
}

// installed reports whether the environment lets programs of the control plane be used
// that this computer has.
func installed() (bool, error) {
	switch from := os.Getenv("CONTROL_PLANE"); from {
	case "", "installed":
		return true, nil
	case "compiled":
		return false, nil
	default:
		return false, fmt.Errorf("CONTROL_PLANE=%s is neither installed nor compiled: give one of them", from)
	}
}
