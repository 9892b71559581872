package main

import (
	"context"
	"fmt"
	"strings"

	"heteroaccel.io/e2e/edge"
	"heteroaccel.io/e2e/narrate"
)

const (
	anyFile    = "any-accelerator.yaml"
	inferences = 4
)

type show struct {
	*edge.Edge
	narrate.Narrator
	late bool
}

// Show implements narrate.Stage: four inferences, four kinds, four throughputs,
// and a client's session.
func (s show) Show(ctx context.Context) error {
	narrate.Title("Four inferences that name no accelerator")
	pods, err := s.Run(ctx, anyFile, inferences)
	if err != nil {
		return err
	}
	for _, p := range pods {
		fmt.Println()
		narrate.Describe(p)
		fmt.Printf("$ kubectl logs %s\n", p.Name)
		log, err := s.throughput(ctx, p.Name)
		if err != nil {
			return err
		}
		fmt.Print(log)
	}
	if err := narrate.DifferentKinds(pods); err != nil {
		return err
	}
	fmt.Printf("\nFour pods, %d kinds of accelerator, each with its throughput.\n", inferences)
	narrate.Title("What the extender and Prometheus say of them")
	if err := s.look(ctx); err != nil {
		return err
	}
	if s.late {
		narrate.Title("One that waits gets what frees")
		if err := s.Move(ctx, pods); err != nil {
			return err
		}
	}
	return s.session(ctx)
}

// throughput waits for the figure in a pod's log, and returns the log.
func (s show) throughput(ctx context.Context, pod string) (log string, err error) {
	err = s.Wait(ctx, func(ctx context.Context) error {
		if log, err = s.Kubectl(ctx, "logs", pod); err != nil {
			return err
		}
		if !strings.Contains(log, "Throughput") {
			return fmt.Errorf("%s has no throughput in its log:\n%s", pod, log)
		}
		return nil
	})
	return log, err
}

// look prints what people with curl see.
func (s show) look(ctx context.Context) error {
	fmt.Printf("$ TOKEN=$(kubectl create token %s)\n$ curl --cacert %s -H \"Authorization: Bearer $TOKEN\" %s/nodes\n", edge.Onlooker, s.CA(), s.Extender)
	page, err := s.Get(ctx, s.Extender+"/nodes")
	if err != nil {
		return err
	}
	fmt.Println(page)
	const query = "heteroaccel_device_holder_slots"
	fmt.Printf("Prometheus, asked for %s:\n", query)
	series, err := s.Query(ctx, query)
	if err != nil {
		return err
	}
	for _, x := range series {
		fmt.Printf("  %s{node=%q, kind=%q, id=%q, pod=%q} %g\n", query, x.Label("node"), x.Label("kind"), x.Label("id"), x.Label("pod"), x.Value)
	}
	return nil
}

// Invite implements narrate.Stage.
func (s show) Invite(ctx context.Context) error {
	narrate.Title("Over to you")
	fmt.Printf(`In another terminal, as root:

  export KUBECONFIG=%s
  alias kubectl=%s

  kubectl get nodes,pods -A -o wide
  kubectl get inferenceprofiles
  kubectl create -f deploy/examples/any-accelerator.yaml

  LOOK=$(kubectl create token %[9]s)
  curl --cacert %[3]s -H "Authorization: Bearer $LOOK" %[4]s/nodes
  curl --cacert %[3]s -H "Authorization: Bearer $LOOK" %[4]s/pods
  curl '%[5]s/api/v1/query?query=heteroaccel_device_holder_slots'

  TOKEN=$(kubectl create token %[6]s)
  curl -H "Authorization: Bearer $TOKEN" %[7]s/v1/sessions
  curl -X POST -H "Authorization: Bearer $TOKEN" -H 'Prefer: wait=60' --json '%[8]s' %[7]s/v1/sessions

Ctrl-C stops everything and leaves nothing behind.
`, s.Kubeconfig(), s.KubectlPath(), s.CA(), s.Extender, s.Prometheus, client, s.Connector, wanted, edge.Onlooker)
	return ctx.Err()
}
