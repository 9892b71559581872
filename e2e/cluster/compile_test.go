package cluster

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// script is a program that runs these lines.
func script(lines ...string) string {
	return "#!/bin/sh\n" + strings.Join(lines, "\n") + "\n"
}

// write makes executable files, by path.
func write(t *testing.T, files map[string]string) {
	t.Helper()
	for path, content := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
}

// fakeGo is a go command that tells what it was asked in the file GO_ASKED, and leaves
// programs as go build names them.
var fakeGo = script(
	`echo "$@" >>"$GO_ASKED"`,
	`verb=$1`,
	`[ $verb = env ] && echo go1.26.8`,
	`[ $verb = list ] && printf 'unsafe\nfmt\n'`,
	`while [ $# -gt 0 ]; do`,
	`	case $1 in`,
	`	-o) dir=$2; shift ;;`,
	`	go.etcd.io/etcd/server/v3) [ $verb = build ] && : >"$dir/server" ;;`,
	`	k8s.io/*/cmd/* | sigs.k8s.io/*/cmd/*) [ $verb = build ] && : >"$dir/${1##*/}" ;;`,
	`	esac`,
	`	shift`,
	`done`,
)

// TestBuild: one go command for each module, for what the computer has not, and of that
// nothing is used without being asked for.
func TestBuild(t *testing.T) {
	has := map[string]string{
		"etcd": script("echo etcd Version: 3.7.9"), "kube-apiserver": script("echo Kubernetes v1.37.9"),
		"kubectl": kubectl("v1.37.9"), "kube-scheduler": script("echo Kubernetes v1.36.3"),
	}
	for name, test := range map[string]struct {
		opts   BuildOptions
		builds []string // the packages of each go build
		used   []string // what is used of the computer's
		said   string   // a pattern of the lines
	}{
		"compiled": {
			BuildOptions{},
			[]string{"sigs.k8s.io/kwok/cmd/kwok", "k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kube-scheduler k8s.io/kubernetes/cmd/kubectl go.etcd.io/etcd/server/v3"},
			nil, `^compiling .*\n\[1/2\] kwok: .*\n\[2/2\] kube-apiserver, .*, etcd: .*\n$`,
		},
		"nodes": {
			BuildOptions{Nodes: true},
			[]string{"sigs.k8s.io/kwok/cmd/kwok", "k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kube-scheduler k8s.io/kubernetes/cmd/kubectl go.etcd.io/etcd/server/v3 k8s.io/kubernetes/cmd/kubelet k8s.io/kubernetes/cmd/kube-proxy"},
			nil, `^compiling `,
		},
		"installed": {
			BuildOptions{Installed: true},
			[]string{"sigs.k8s.io/kwok/cmd/kwok", "k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kube-scheduler"},
			[]string{"etcd", "kube-apiserver", "kubectl"},
			`^using kube-apiserver v1\.37\.9 .*\nnot using .*kube-scheduler: .*\nusing kubectl .*\nusing etcd .*\n.* how to download .*\ncompiling .*: kube-controller-manager, kube-scheduler, kwok\n\[1/2\] kwok: .*\n\[2/2\] .*\n$`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			assets, cache, path := t.TempDir(), t.TempDir(), t.TempDir()
			asked := filepath.Join(cache, "asked")
			write(t, map[string]string{filepath.Join(path, "go"): fakeGo})
			for program, content := range has {
				write(t, map[string]string{filepath.Join(assets, program): content})
			}
			for name, value := range map[string]string{"PATH": path, Assets: assets, "XDG_CACHE_HOME": cache, "GO_ASKED": asked, Kubernetes: ""} {
				t.Setenv(name, value)
			}
			var out bytes.Buffer
			test.opts.Out = &out
			b, err := Build(t.Context(), test.opts)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(test.said).MatchString(out.String()) {
				t.Errorf("it said\n%s\nwant %s", &out, test.said)
			}
			if diff := cmp.Diff(test.builds, builds(t, asked)); diff != "" {
				t.Errorf("packages of each go build (-want +got):\n%s", diff)
			}
			var used []string
			for _, path := range []string{b.Etcd, b.APIServer, b.ControllerManager, b.Scheduler, b.Kubectl, b.Kwok} {
				if _, err := os.Stat(path); err != nil {
					t.Error(err)
				}
				if filepath.Dir(path) == assets {
					used = append(used, filepath.Base(path))
				}
			}
			if diff := cmp.Diff(test.used, used); diff != "" {
				t.Errorf("used of the computer's (-want +got):\n%s", diff)
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(b.Kwok), halfBuilt+"*")); len(left) > 0 || err != nil {
				t.Errorf("%v stays, %v", left, err)
			}
			// Once more, all is there.
			again := len(builds(t, asked))
			if _, err := Build(t.Context(), test.opts); err != nil || len(builds(t, asked)) != again {
				t.Errorf("a second time it is compiled again, %v", err)
			}
		})
	}
}

// builds are the packages of each go build that was asked for.
func builds(t *testing.T, asked string) []string {
	t.Helper()
	data, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "build ") {
			_, after, _ := strings.Cut(line, halfBuilt)
			_, packages, _ := strings.Cut(strings.TrimSpace(after), " ")
			all = append(all, packages)
		}
	}
	return all
}

// TestBuildFails: the error tells which program's modules cannot be downloaded.
func TestBuildFails(t *testing.T) {
	cache, path := t.TempDir(), t.TempDir()
	write(t, map[string]string{filepath.Join(path, "go"): script(
		`[ $1 = env ] && echo go1.26.8 && exit`,
		`case "$*" in *kwok*) echo 'go: dial tcp: lookup proxy: no such host' >&2; exit 1 ;; esac`,
		`echo fmt`,
	)})
	t.Setenv("PATH", path)
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv(Kubernetes, "")
	_, err := Build(t.Context(), BuildOptions{})
	if err == nil || !strings.Contains(err.Error(), "prepare kwok: a Go module could not be downloaded") {
		t.Errorf("the error is %v", err)
	}
}

func TestExecutable(t *testing.T) {
	for pkg, want := range map[string]string{
		"k8s.io/kubernetes/cmd/kube-apiserver": "kube-apiserver", "go.etcd.io/etcd/server/v3": "server", "sigs.k8s.io/kwok/cmd/kwok": "kwok",
	} {
		if got := executable(pkg); got != want {
			t.Errorf("%s is called %s, want %s", pkg, got, want)
		}
	}
}
