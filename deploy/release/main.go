package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"
)

func main() {
	out := flag.String("out", "bin/release", "directory of the release; what is in it is replaced")
	only := flag.String("platform", "", "make images, command line programs and bundles for this platform alone, such as linux/amd64, to try it out; default: all")
	url := flag.String("url", nowhere, "where the files will be published, for the manifest of the kubectl plugin")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out, *only, *url); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, only, url string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	r, err := read(ctx, root)
	if err != nil {
		return err
	}
	r.log = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if err := r.restrict(only); err != nil {
		return err
	}
	if r.url = url; url == nowhere {
		r.log("The manifest of the kubectl plugin names no place where its archives are: give one with -url, as make release URL=https://….")
	}
	if tag, err := git(ctx, root, "describe", "--tags", "--exact-match", "--dirty"); err != nil || tag != r.version {
		r.log("This commit is not tagged %s, or was changed: build it to try it out, and not to publish it.", r.version)
	}
	return r.assemble(ctx, out)
}

// release is what is released.
type release struct {
	root           string
	version, chart string
	revision       string // of the sources
	at             time.Time
	// nodes are the platforms of the image, and desks those that have the command line
	// program too.
	nodes, desks []platform
	// url is where the files will be published.
	url string
	log func(format string, args ...any)
}

// read finds out what a working tree is a release of.
func read(ctx context.Context, root string) (*release, error) {
	data, err := os.ReadFile(filepath.Join(root, "deploy/helm/heteroaccel/Chart.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read the version: %w; run it at the root of the repository", err)
	}
	var c struct{ Version, AppVersion string }
	if err := yaml.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("read the version: %w", err)
	}
	if c.Version == "" || c.AppVersion != "v"+c.Version {
		return nil, fmt.Errorf("the chart has version %q and appVersion %q: the second is the first with a v before it", c.Version, c.AppVersion)
	}
	r := &release{root: root, version: c.AppVersion, chart: c.Version, nodes: nodes, desks: desks, url: nowhere}
	if r.revision, err = git(ctx, root, "rev-parse", "HEAD"); err != nil {
		r.revision = "unknown"
	}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		if epoch, err = git(ctx, root, "log", "-1", "--format=%ct"); err != nil {
			return nil, errors.New("the time of the release is not known: build from a clone of the repository, or set SOURCE_DATE_EPOCH to seconds since 1970")
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH is %q: set it to seconds since 1970", epoch)
	}
	r.at = time.Unix(seconds, 0).UTC()
	return r, nil
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}
