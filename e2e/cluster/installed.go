package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/semver"
)

// Assets is the environment variable with the directory that setup-envtest keeps etcd,
// kube-apiserver and kubectl in. Whoever wants the other programs used puts them there too.
const Assets = "KUBEBUILDER_ASSETS"

// patience is how long a program may take to say its version, on a busy machine.
const patience = 10 * time.Second

// search is for programs that are on this computer already.
type search struct {
	// assets is the directory of Assets, absolute; "" for none.
	assets string
	// patience is how long each may take to say its version.
	patience time.Duration
	// want is the version of each program that would be compiled.
	want map[string]string
	// line receives what becomes of each program that is there.
	line func(string)
}

// installed returns the paths of those programs, by name, that this computer has for the
// control plane.
func (s source) installed(ctx context.Context, list []program, line func(string)) (map[string]string, error) {
	want, err := s.versions()
	if err != nil {
		return nil, err
	}
	of := search{patience: patience, want: want, line: line}
	if assets := os.Getenv(Assets); assets != "" {
		if of.assets, err = filepath.Abs(assets); err != nil { // programs run in other directories
			return nil, fmt.Errorf("find the directory of %s: %w", Assets, err)
		}
		if _, err := os.Stat(of.assets); err != nil {
			line(fmt.Sprintf("not using %s: %v", Assets, err))
		}
	}
	return of.find(ctx, list)
}

// find returns the paths of those programs that can be used: the one in assets, or else
// the first in PATH. It tells of every one that is there whether it is used, and if not,
// why. It fails only when ctx ends.
func (s search) find(ctx context.Context, list []program) (map[string]string, error) {
	type answer struct {
		path string
		said []string
	}
	answers := make([]answer, len(list))
	var all sync.WaitGroup
	for at, p := range list {
		all.Go(func() {
			for _, path := range s.candidates(p.name) {
				said, ok := s.judge(ctx, p.name, path)
				answers[at].said = append(answers[at].said, said)
				if ok {
					answers[at].path = path
					return
				}
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("looking for programs on this computer was interrupted: %w", context.Cause(ctx))
	}
	found := map[string]string{}
	for at, a := range answers {
		for _, said := range a.said {
			s.line(said)
		}
		if a.path != "" {
			found[list[at].name] = a.path
		}
	}
	return found, nil
}

// candidates are the paths at which a program may be, the best first.
func (s search) candidates(name string) []string {
	var paths []string
	if s.assets != "" {
		path := filepath.Join(s.assets, name)
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			paths = append(paths, path)
		}
	}
	// An error is that there is none, or one below the working directory, which is no
	// place to take programs from.
	if path, err := exec.LookPath(name); err == nil && (len(paths) == 0 || path != paths[0]) {
		paths = append(paths, path)
	}
	return paths
}

// judge reports whether a program is of the minor version of the one that would be
// compiled, also in a sentence.
func (s search) judge(ctx context.Context, name, path string) (said string, ok bool) {
	version, err := s.version(ctx, name, path)
	want := semver.MajorMinor(s.want[name])
	switch {
	case err != nil:
	case semver.MajorMinor(version) != want:
		err = fmt.Errorf("it is %s, and %s is needed", version, want)
	case unreleased(version):
		err = fmt.Errorf("%s came before the release", version)
	default:
		return fmt.Sprintf("using %s %s of this computer: %s", name, version, path), true
	}
	return fmt.Sprintf("not using %s: %v", path, err), false
}

// unreleased tells Kubernetes' own words for what comes before a release from what
// distributions add to the versions of releases: "v1.37.2-gke.100".
func unreleased(version string) bool {
	before := semver.Prerelease(version)
	return strings.HasPrefix(before, "-alpha") || strings.HasPrefix(before, "-beta") || strings.HasPrefix(before, "-rc")
}

// question is how to ask a program for its version.
type question struct {
	args   []string
	before string // what precedes it, at the start of a line
}

// questions are those of the programs that are not asked as Kubernetes' servers are.
var questions = map[string]question{
	"etcd":    {[]string{"--version"}, "etcd Version: "},
	"kubectl": {[]string{"version", "--client"}, "Client Version: "},
	"kwok":    {[]string{"--version"}, "kwok version "},
}

// version asks a program: "v1.37.2".
func (s search) version(ctx context.Context, name, path string) (string, error) {
	q, ok := questions[name]
	if !ok {
		q = question{[]string{"--version"}, "Kubernetes "}
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	var said head
	cmd := exec.CommandContext(ctx, path, q.args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	err := run(cmd)
	if ctx.Err() != nil {
		return "", fmt.Errorf("it did not say its version within %s", s.patience)
	}
	if broken := (*fs.PathError)(nil); errors.As(err, &broken) {
		return "", fmt.Errorf("it cannot run: %w", broken.Err) // the path is known
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	if err != nil {
		return "", fmt.Errorf("asked for its version it ended with %w and said %.60q", err, first)
	}
	for line := range strings.Lines(string(said)) {
		rest, ok := strings.CutPrefix(line, q.before)
		if !ok {
			continue
		}
		word, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if version := "v" + strings.TrimPrefix(word, "v"); semver.IsValid(version) {
			return version, nil
		}
	}
	return "", fmt.Errorf("asked for its version it said %.60q", cmp.Or(first, "nothing"))
}

// head is the first 4 KiB of what is written to it: a program that is not what its name
// says may write without end.
type head []byte

// Write implements io.Writer.
func (h *head) Write(p []byte) (int, error) {
	*h = append(*h, p[:min(len(p), 4<<10-len(*h))]...)
	return len(p), nil
}
