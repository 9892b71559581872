package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"heteroaccel.io/e2e/bench/report"
	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// errWorse says that the benchmark has found something worse; it has been printed.
var errWorse = errors.New("something got worse")

// revision is a tree and its programs.
type revision struct{ name, root, programs string }

// head is what this tree is called in a comparison.
const head = "this tree"

// compare has two revisions take turns in one installation, and says what got worse.
func compare(ctx context.Context, s settings, out io.Writer) error {
	dir, err := os.MkdirTemp("", "heteroaccel-bench-")
	if err != nil {
		return fmt.Errorf("compare revisions: %w", err)
	}
	defer os.RemoveAll(dir)
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	is := revision{name: head, root: root}
	if is.programs, err = stack.BuildPrograms(ctx, out); err != nil {
		return err
	}
	was, err := checkOut(ctx, out, root, dir, s.base)
	if err != nil {
		return err
	}
	var run report.Run
	err = s.each(func(nodes int, late bool) error {
		return at(ctx, out, nodes, s.pods, late, func(x *site) error { return x.inTurns(ctx, s, []revision{was, is}, &run) })
	})
	if err != nil {
		return err
	}
	worse := false
	fmt.Fprintln(out)
	for _, c := range run.Compare(was.name, is.name) {
		fmt.Fprintln(out, c)
		worse = worse || c.Verdict == report.Worse
	}
	if err := s.save(run); err != nil {
		return err
	}
	if worse {
		return errWorse
	}
	return nil
}

// checkOut unpacks a revision of the repository below dir, and compiles its programs.
func checkOut(ctx context.Context, out io.Writer, root, dir, name string) (revision, error) {
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return revision{}, fmt.Errorf("unpack %s: %w", name, err)
	}
	archive := exec.CommandContext(ctx, "sh", "-c", `git -C "$1" archive "$2" > "$3.tar" && tar -C "$3" -xf "$3.tar" && rm "$3.tar"`, "sh", root, name, tree)
	if said, err := archive.CombinedOutput(); err != nil {
		return revision{}, fmt.Errorf("unpack revision %s of the repository: %w: %s", name, err, strings.TrimSpace(string(said)))
	}
	r := revision{name: name, root: tree, programs: filepath.Join(dir, "bin")}
	return r, cluster.BuildPrograms(ctx, r.programs, cluster.ProgramOptions{Root: tree, Out: out}, "connector", "exporter", "extender", "webhook")
}

// inTurns has every load run once with each revision, again and again.
func (x *site) inTurns(ctx context.Context, s settings, revisions []revision, run *report.Run) error {
	for turn := range s.rounds {
		for _, r := range revisions {
			if err := x.become(ctx, r); err != nil {
				return err
			}
			for _, l := range loadsOf(s.loads, x.late) {
				if l.asks != extender {
					continue // what it measures is kube-scheduler's
				}
				round, err := x.round(ctx, l, report.Ours, s.pods, fmt.Sprintf("r%d", turn))
				if err != nil {
					return fmt.Errorf("%d nodes, %s of %s: %w", x.nodes, l.name, r.name, err)
				}
				round.Revision = r.name
				run.Rounds = append(run.Rounds, round)
				fmt.Fprintf(x.out, "%d nodes, round %d, %s of %s: %.0f pods created a second, %.0f bound\n", x.nodes, turn+1, l.name, r.name, round.Created, round.Bound)
			}
		}
	}
	return nil
}

// become has the installation be one of a revision.
func (x *site) become(ctx context.Context, r revision) error {
	for _, program := range []string{"webhook", "extender"} {
		x.Process(program).Stop()
	}
	if err := x.Upgrade(ctx, r.root, r.programs); err != nil {
		return err
	}
	if err := x.StartExtender(ctx); err != nil {
		return err
	}
	return x.StartWebhook(ctx)
}
