package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/e2e/poll"
)

// kubectl is one that knows no other question than that for its own version.
func kubectl(version string) string {
	return script(`if [ "$*" != "version --client" ]; then echo 'error: unknown flag: --version' >&2; exit 1; fi`,
		"echo Client Version: "+version, "echo Kustomize Version: v5.8.1")
}

var wanted = map[string]string{"kube-apiserver": "v1.37.2", "kube-scheduler": "v1.37.2", "kubectl": "v1.37.2", "etcd": "v3.7.0", "kwok": "v0.8.0"}

func TestJudge(t *testing.T) {
	for name, test := range map[string]struct {
		program string // kube-apiserver if ""
		content string
		want    string // what it says of the program "at" a path
		ok      bool
	}{
		"the same":        {"", script("echo Kubernetes v1.37.2"), "using kube-apiserver v1.37.2 of this computer: at", true},
		"newer patch":     {"", script("echo Kubernetes v1.37.11"), "using kube-apiserver v1.37.11 of this computer: at", true},
		"older patch":     {"", script("echo Kubernetes v1.37.0"), "using kube-apiserver v1.37.0 of this computer: at", true},
		"distribution":    {"", script("echo Kubernetes v1.37.3-gke.100"), "using kube-apiserver v1.37.3-gke.100 of this computer: at", true},
		"build":           {"", script("echo Kubernetes v1.37.2+k3s1"), "using kube-apiserver v1.37.2+k3s1 of this computer: at", true},
		"warns first":     {"", script("echo W1127 1 flags.go:8 deprecated >&2", "echo Kubernetes v1.37.2"), "using kube-apiserver v1.37.2 of this computer: at", true},
		"before release":  {"", script("echo Kubernetes v1.37.0-rc.1"), "not using at: v1.37.0-rc.1 came before the release", false},
		"older minor":     {"", script("echo Kubernetes v1.36.3"), "not using at: it is v1.36.3, and v1.37 is needed", false},
		"newer minor":     {"", script("echo Kubernetes v1.38.0"), "not using at: it is v1.38.0, and v1.37 is needed", false},
		"shorter minor":   {"", script("echo Kubernetes v1.3.72"), "not using at: it is v1.3.72, and v1.37 is needed", false},
		"another major":   {"", script("echo Kubernetes v2.37.2"), "not using at: it is v2.37.2, and v1.37 is needed", false},
		"garbage":         {"", script(`printf 'frob\001\nnicate\n'`), `not using at: asked for its version it said "frob\x01"`, false},
		"half a version":  {"", script("echo Kubernetes v1.x"), `not using at: asked for its version it said "Kubernetes v1.x"`, false},
		"another program": {"", script("echo etcd Version: 1.37.2"), `not using at: asked for its version it said "etcd Version: 1.37.2"`, false},
		"nothing":         {"", script(), `not using at: asked for its version it said "nothing"`, false},
		"fails":           {"", script("echo no such library >&2", "exit 127"), `not using at: asked for its version it ended with exit status 127 and said "no such library"`, false},
		"another machine": {"", "\x7fELF for another one", "not using at: it cannot run: exec format error", false},
		"etcd":            {"etcd", script("echo etcd Version: 3.7.4", "echo Git SHA: 5b7a5b1"), "using etcd v3.7.4 of this computer: at", true},
		"old etcd":        {"etcd", script("echo etcd Version: 3.6.8"), "not using at: it is v3.6.8, and v3.7 is needed", false},
		"kubectl":         {"kubectl", kubectl("v1.37.1"), "using kubectl v1.37.1 of this computer: at", true},
		"cloud's kubectl": {"kubectl", kubectl("v1.32.4-dispatcher"), "not using at: it is v1.32.4-dispatcher, and v1.37 is needed", false},
		"kwok":            {"kwok", script("echo 'kwok version v0.8.1 go1.26.8 (linux/amd64)'"), "using kwok v0.8.1 of this computer: at", true},
		"unstamped kwok":  {"kwok", script("echo 'kwok version unknown go1.26.8 (linux/amd64)'"), `not using at: asked for its version it said "kwok version unknown go1.26.8 (linux/amd64)"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			program := test.program
			if program == "" {
				program = "kube-apiserver"
			}
			path := filepath.Join(t.TempDir(), program)
			write(t, map[string]string{path: test.content})
			said, ok := search{patience: time.Minute, want: wanted}.judge(t.Context(), program, path)
			if said = strings.ReplaceAll(said, path, "at"); said != test.want || ok != test.ok {
				t.Errorf("%t: %s\nwant %t: %s", ok, said, test.ok, test.want)
			}
		})
	}
}

// TestJudgeUnusable: what is no program at all is not used either.
func TestJudgeUnusable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "etcd"), []byte(script("echo etcd Version: 3.7.0")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "kwok"), 0o755), os.Symlink("gone", filepath.Join(dir, "kubectl"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "kwok", "kubectl"} {
		said, ok := search{patience: time.Minute, want: wanted}.judge(t.Context(), name, filepath.Join(dir, name))
		if ok || !strings.Contains(said, "it cannot run: ") {
			t.Errorf("%t: %s", ok, said)
		}
	}
}

// TestJudgeHangs: a program that does not end, and one whose child does not and holds its
// output, cost no more than patience, and nothing of them stays.
func TestJudgeHangs(t *testing.T) {
	for name, content := range map[string]string{
		"itself":   script("exec sleep 1000"),
		"a child":  script("sleep 1000 &", `echo $! >"$0.child"`, "wait"),
		"its word": script("while :; do echo Kubernetes v1.37.2; done"),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kube-apiserver")
			write(t, map[string]string{path: content})
			s := search{patience: time.Second, want: wanted}
			said, ok := s.judge(t.Context(), "kube-apiserver", path)
			if ok || !strings.HasSuffix(said, ": it did not say its version within "+s.patience.String()) {
				t.Errorf("%t: %s", ok, said)
			}
			child, err := os.ReadFile(path + ".child")
			if err != nil {
				return // it has none
			}
			if err := poll.Within(t.Context(), 10*time.Second, func(context.Context) error { return dead(strings.TrimSpace(string(child))) }); err != nil {
				t.Error(err)
			}
		})
	}
}

// dead returns nil once a process is gone, or waits for its parent to notice.
func dead(pid string) error {
	status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if errors.Is(err, os.ErrNotExist) || strings.Contains(string(status), "\nState:\tZ") {
		return nil
	}
	return errors.Join(err, errors.New("process "+pid+" lives"))
}

func TestFind(t *testing.T) {
	server := script("echo Kubernetes v1.37.2")
	for name, test := range map[string]struct {
		assets, path map[string]string
		want         map[string]string // by program, the path below the directory of both
		said         string            // a pattern of each line
	}{
		"nothing there": {nil, nil, map[string]string{}, `^$`},
		"both":          {map[string]string{"etcd": script("echo etcd Version: 3.7.0")}, map[string]string{"kube-scheduler": server}, map[string]string{"etcd": "assets/etcd", "kube-scheduler": "path/kube-scheduler"}, `^using kube-scheduler .*\nusing etcd .*$`},
		"assets first":  {map[string]string{"kube-apiserver": server}, map[string]string{"kube-apiserver": server}, map[string]string{"kube-apiserver": "assets/kube-apiserver"}, `^using .*assets/kube-apiserver$`},
		"path instead":  {map[string]string{"kubectl": kubectl("v1.36.3")}, map[string]string{"kubectl": kubectl("v1.37.0")}, map[string]string{"kubectl": "path/kubectl"}, `^not using .*assets/kubectl: it is v1\.36\.3.*\nusing .*path/kubectl$`},
		"neither":       {map[string]string{"kwok": script("exit 1")}, map[string]string{"kwok": script("echo kwok version v0.7.0")}, map[string]string{}, `^not using .*assets/kwok: .*exit status 1.*\nnot using .*path/kwok: it is v0\.7\.0, and v0\.8 is needed$`},
		"not asked for": {map[string]string{"kubelet": server}, nil, map[string]string{}, `^$`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for below, files := range map[string]map[string]string{"assets": test.assets, "path": test.path} {
				for program, content := range files {
					write(t, map[string]string{filepath.Join(dir, below, program): content})
				}
			}
			t.Setenv("PATH", filepath.Join(dir, "path"))
			var said []string
			s := search{
				assets: filepath.Join(dir, "assets"), patience: time.Minute, want: wanted,
				line: func(line string) { said = append(said, line) },
			}
			found, err := s.find(t.Context(), []program{{name: "kube-apiserver"}, {name: "kube-scheduler"}, {name: "kubectl"}, {name: "etcd"}, {name: "kwok"}})
			if err != nil {
				t.Fatal(err)
			}
			for program, path := range found {
				found[program], _ = filepath.Rel(dir, path) // both are absolute
			}
			if diff := cmp.Diff(test.want, found); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			if all := strings.Join(said, "\n"); !regexp.MustCompile(test.said).MatchString(all) {
				t.Errorf("it said\n%s\nwant %s", all, test.said)
			}
		})
	}
}

// TestFindOnce: assets that are in PATH too are asked once.
func TestFindOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, map[string]string{filepath.Join(dir, "etcd"): script("exit 1")})
	t.Setenv("PATH", dir)
	lines := 0
	s := search{assets: dir, patience: time.Minute, want: wanted, line: func(string) { lines++ }}
	if _, err := s.find(t.Context(), []program{{name: "etcd"}}); err != nil || lines != 1 {
		t.Errorf("%d lines, %v", lines, err)
	}
}

// TestFindInterrupted is Ctrl-C while a program is asked.
func TestFindInterrupted(t *testing.T) {
	dir := t.TempDir()
	write(t, map[string]string{filepath.Join(dir, "etcd"): script("exec sleep 1000")})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := search{assets: dir, patience: time.Minute, want: wanted, line: func(line string) { t.Error(line) }}
	if _, err := s.find(ctx, []program{{name: "etcd"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want context.Canceled", err)
	}
}
