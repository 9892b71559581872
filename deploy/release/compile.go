package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// platform is an operating system and a processor, in Go's words.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// restrict leaves one platform of nodes, given by its name; "" leaves all.
func (r *release) restrict(only string) error {
	if only == "" {
		return nil
	}
	i := slices.IndexFunc(nodes, func(p platform) bool { return p.String() == only })
	if i < 0 {
		return fmt.Errorf("-platform %q: nodes are %v", only, nodes)
	}
	r.nodes = nodes[i : i+1]
	r.desks = r.nodes
	return nil
}

// name is the platform in a file's name.
func (p platform) name() string { return p.os + "-" + p.arch }

// Platforms of the image, and those that have the command line program too.
var (
	nodes = []platform{{"linux", "amd64"}, {"linux", "arm64"}}
	desks = []platform{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"}}
)

// programs are the packages of the image's programs, by the name of the file.
var programs = map[string]string{
	"webhook": "./webhook", "extender": "./extender", "exporter": "./exporter", "connector": "./connector",
	cli: "./cli",
}

// cli is the command line program.
const cli = "heteroaccel"

// compiler compiles static programs from a working tree into a directory.
type compiler struct {
	root, dir, version string
}

// flags of go build. Neither the directory that it runs in nor the state of a
// repository gets into a program, and neither do the methods that only the templates of
// gRPC's trace pages could call.
func (c compiler) flags() []string {
	return []string{"-trimpath", "-buildvcs=false", "-tags=grpcnotrace", "-ldflags=-s -w -buildid= -X heteroaccel.io/pkg/program.release=" + c.version}
}

// compile returns the file of a program for a platform.
func (c compiler) compile(ctx context.Context, p platform, name string) (string, error) {
	file := filepath.Join(c.dir, p.name(), name)
	if p.os == "windows" {
		file += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", file}, c.flags()...), programs[name])...)
	cmd.Dir = c.root
	// What the user has set for other builds must not change this one.
	cmd.Env = append(os.Environ(), "GOOS="+p.os, "GOARCH="+p.arch, "CGO_ENABLED=0", "GOFLAGS=", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile %s for %s: %w\n%s", name, p, err, strings.TrimSpace(string(out)))
	}
	return file, nil
}
