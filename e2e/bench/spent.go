package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"heteroaccel.io/e2e/stack"
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

// tick is the unit of proc_pid_stat(5): sysconf(_SC_CLK_TCK) is 100 on every Linux.
const tick = 10 // milliseconds

// processorTime is how much a process has used, in milliseconds, user and system, by
// fields 14 and 15 of /proc/PID/stat (proc_pid_stat(5)).
func processorTime(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field, a name in parentheses, may have spaces.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%q has too few fields", data)
	}
	total := 0.0
	for _, f := range fields[11:13] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, fmt.Errorf("read %q: %w", f, err)
		}
		total += n * tick
	}
	return total, nil
}

// add adds up a counter of a page of metrics by the values of some of its labels.
func add(to map[string]float64, page, name string, labels ...string) error {
	values, err := stack.ParseMetrics(page)
	if err != nil {
		return err
	}
	for series, v := range values {
		if !strings.HasPrefix(series, name+"{") {
			continue
		}
		var words []string
		for _, l := range labels {
			words = append(words, labelOf(series, l))
		}
		to[strings.Join(words, " ")] += v
	}
	return nil
}

// labelOf is the value of a label of a series, "" if it has none of that name.
func labelOf(series, label string) string {
	for _, before := range []string{"{", ","} {
		if _, after, ok := strings.Cut(series, before+label+`="`); ok {
			value, _, _ := strings.Cut(after, `"`)
			return value
		}
	}
	return ""
}
