package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"
)

// spent is what programs have used and been asked so far.
type spent struct {
	// cpu is the processor time of each program's process, in milliseconds, by its id: one
	// that was started anew begins at 0.
	cpu map[string]map[int]float64
	// requests are those that the API server answered, by verb and resource.
	requests map[string]float64
	// batches are kube-scheduler's, since it was started; empty while it is stopped.
	batches map[string]float64
}

func (x *site) spent(ctx context.Context) (s spent, err error) {
	s = spent{cpu: map[string]map[int]float64{}, requests: map[string]float64{}, batches: map[string]float64{}}
	for _, p := range x.Processes() {
		program := programOf(p.Name())
		if program == "" || p.Ended() {
			continue
		}
		used, err := processorTime(p.PID())
		if err != nil {
			return s, fmt.Errorf("the processor time of %s: %w", p.Name(), err)
		}
		s.cpu[program] = map[int]float64{p.PID(): used}
	}
	page, err := x.Metrics(ctx, "kube-apiserver")
	if err != nil {
		return s, err
	}
	if err := add(s.requests, page, "apiserver_request_total", "verb", "resource"); err != nil {
		return s, err
	}
	if _, runs := s.cpu["kube-scheduler"]; runs {
		if page, err = x.Metrics(ctx, "kube-scheduler"); err != nil {
			return s, err
		}
		err = add(s.batches, page, "scheduler_batch_attempts_total", "result")
	}
	return s, err
}

// since is what was spent after an earlier moment: processor time in milliseconds a pod,
// requests a pod, and batches.
func (s spent) since(before spent, pods int) (cpu, requests, batches map[string]float64) {
	cpu, requests = map[string]float64{}, map[string]float64{}
	for program, processes := range s.cpu {
		for id, used := range processes {
			cpu[program] += (used - before.cpu[program][id]) / float64(pods)
		}
	}
	for what, n := range s.requests {
		if more := n - before.requests[what]; more > 0 {
			requests[what] = more / float64(pods)
		}
	}
	return cpu, requests, s.batches
}

// processorTime is how much a process has used, in milliseconds, user and system.
func processorTime(pid int) (float64, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := p.Stat()
	if err != nil {
		return 0, err
	}
	return stat.CPUTime() * 1000, nil
}

// add adds up a counter of a page of metrics by the values of some of its labels.
func add(to map[string]float64, page, name string, labels ...string) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		return fmt.Errorf("read a page of metrics: %w", err)
	}
	for _, m := range families[name].GetMetric() {
		values := map[string]string{}
		for _, l := range m.GetLabel() {
			values[l.GetName()] = l.GetValue()
		}
		var words []string
		for _, l := range labels {
			words = append(words, values[l])
		}
		to[strings.Join(words, " ")] += m.GetCounter().GetValue()
	}
	return nil
}
