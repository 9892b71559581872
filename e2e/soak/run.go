package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"heteroaccel.io/e2e/soak/judge"
	"heteroaccel.io/e2e/soak/plan"
)

const (
	// quiet is for how long nothing may change before all has come to rest.
	quiet = 15 * time.Second
	// settleLimit is how long the work that ends may take to be done.
	settleLimit = 5 * time.Minute
	// comeLimit is how long an owner that is asked to look again has to get its
	// pods.
	comeLimit = 45 * time.Second
)

// run is the soak; everything it started has ended when it returns. failures
// counts what must not be.
func run(ctx context.Context, set settings, out io.Writer) (failures int, err error) {
	p := plan.New(set.seed, set.size)
	var names []string
	if set.only != "" {
		names = strings.Split(set.only, ",")
	}
	if unknown := p.Keep(names, !set.calm); len(unknown) > 0 {
		return 0, fmt.Errorf("the plan of this seed and size has no owner %s: -plan lists them", strings.Join(unknown, ", "))
	}
	describe(out, set, p)
	if set.planOnly {
		writePlan(out, p)
		return 0, nil
	}
	s, err := start(ctx, set, p, out)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	if err := s.play(ctx); err != nil {
		return 0, err
	}
	s.say("nothing happens from outside any more; waiting until all has come to rest")
	s.settle(ctx, quiet, settleLimit)
	owners, err := s.owners(ctx)
	if err != nil {
		return 0, err
	}
	s.say("nothing is moved from now on")
	if err := s.suspend(ctx); err != nil {
		return 0, err
	}
	s.settle(ctx, 3*time.Second, time.Minute)
	left, err := s.leftovers(ctx)
	if err != nil {
		return 0, err
	}
	waits, err := s.waits(ctx)
	if err != nil {
		return 0, err
	}
	return s.report(ctx, owners, left, waits), ctx.Err()
}

// leftovers looks for what re-admission left behind. Records have a moment to
// go: whoever finishes one removes it last.
func (s *soak) leftovers(ctx context.Context) (left []string, err error) {
	err = s.until(ctx, 30*time.Second, func() (bool, error) {
		secrets, err := s.secrets(ctx)
		if err != nil {
			return false, err
		}
		pods, err := s.allPods(ctx)
		if err != nil {
			return false, err
		}
		left = judge.Leftovers(secrets, pods, ourNamespace)
		return len(left) == 0, nil
	})
	return left, err
}

// describe says what is about to be done.
func describe(out io.Writer, set settings, p *plan.Plan) {
	devices := 0
	for _, m := range p.Machines {
		for _, d := range m.Devices {
			devices += d.Slots()
		}
	}
	fmt.Fprintf(out, "soak with seed %d: %d pods of %d owners in %d namespaces, on %d nodes with %d device slots, for %s\nagain with: %s\n",
		set.seed, set.size.Pods, len(p.Owners), len(p.Namespaces), len(p.Machines), devices, set.size.Duration, set.again())
}

// writePlan writes a plan for people.
func writePlan(out io.Writer, p *plan.Plan) {
	for _, m := range p.Machines {
		fmt.Fprintf(out, "node %s: %d cores, labels %v:", m.Name, m.Cores, p.NodeLabels[m.Name])
		for _, d := range m.Devices {
			fmt.Fprintf(out, " %s %s×%d", d.Name, d.Resource, d.Slots())
		}
		fmt.Fprintln(out)
	}
	for _, n := range p.Namespaces {
		fmt.Fprintf(out, "namespace %s: PodSecurity %s", n.Name, n.Level)
		if n.Limits != nil {
			for _, item := range n.Limits.Spec.Limits {
				fmt.Fprintf(out, ", LimitRange per %s max %v", item.Type, amounts(item.Max))
			}
		}
		for _, q := range n.Quotas {
			fmt.Fprintf(out, ", quota %v", amounts(q.Spec.Hard))
		}
		fmt.Fprintln(out)
	}
	for _, o := range p.Owners {
		fmt.Fprintf(out, "%6.1fs %s: %d × %s on %v\n", o.At.Seconds(), o.Key(), o.Count, o.Inference, o.Kinds)
	}
	for _, e := range p.Events {
		fmt.Fprintf(out, "%6.1fs %s\n", e.At.Seconds(), e)
	}
}

// amounts is a list of resources as people write it.
func amounts(list corev1.ResourceList) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(list)) {
		q := list[name]
		parts = append(parts, fmt.Sprintf("%s=%s", name, q.String()))
	}
	return strings.Join(parts, ",")
}
