package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/cli/gather"
	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
)

// TestCheck: the command line program finds nothing wrong with an installation in
// order, names what was broken, and says what the caller may not see.
func TestCheck(t *testing.T) {
	s := borrow(t, paper)
	playWorkloads(t, s)
	t.Run("program", func(t *testing.T) { programChecks(t, s) })
	t.Run("kube-scheduler takes its configuration", func(t *testing.T) { kubeadmTook(t, s) })
	broken(t, s, quick)
	if long {
		broken(t, s, slow)
	}
	t.Run("caller without rights", func(t *testing.T) { uncheckable(t, s) })
	t.Run("interrupted", func(t *testing.T) { interrupted(t, s) })
}

// playWorkloads has the nodes play the pods of the manifests' workloads.
func playWorkloads(t *testing.T, s *stack.Stack) {
	t.Helper()
	remove, err := s.InstallWorkloads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// heteroaccel is the program, compiled once.
var heteroaccel = sync.OnceValues(func() (string, error) {
	root, err := cluster.Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "local-race")
	return filepath.Join(dir, "cli"), cluster.BuildPrograms(context.Background(), dir, cluster.ProgramOptions{Race: true}, "cli")
})

// soonEnds has the race detector not wait a second, as each run would at its end.
const soonEnds = "GORACE=atexit_sleep_ms=50"

// run runs the program on a cluster; code is its exit code.
func run(t *testing.T, s *stack.Stack, args ...string) (stdout string, code int) {
	t.Helper()
	path, err := heteroaccel()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append(args, "--kubeconfig", s.Kubeconfig())...)
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	cmd.Env = append(os.Environ(), soonEnds)
	err = cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", args, err)
	}
	if strings.Contains(diagnostics.String(), "DATA RACE") || strings.Contains(diagnostics.String(), "panic:") {
		t.Fatalf("%v: %s", args, diagnostics.String())
	}
	return out.String() + diagnostics.String(), cmd.ProcessState.ExitCode()
}

// programChecks: with the program itself everything is OK, and it waits until it is.
func programChecks(t *testing.T, s *stack.Stack) {
	out, code := run(t, s, "check", "-o", "json", "--wait", "2m", "--extender-url", s.URL("extender", ""))
	var report struct {
		OK    bool         `json:"ok"`
		Lines []check.Line `json:"lines"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 || !report.OK {
		t.Fatalf("exit code %d, %v:\n%s", code, err, out)
	}
	checks := map[string]bool{}
	for _, l := range report.Lines {
		checks[l.Check] = true
		if l.Result != check.OK {
			t.Errorf("%s is %s: %s", l.Check, l.Result, l.Message)
		}
	}
	for _, c := range []string{"kubernetes", "crd", "profiles", "devices", "registration", "webhook", "admission", "refusal", "backstop", "extender", "exporters", "telemetry", "scheduler", "rights", "versions"} {
		if !checks[c] {
			t.Errorf("nothing is said of %s:\n%s", c, out)
		}
	}
	noCanary(t, s)
	if out, code := run(t, s, "check", "--namespace", "kube-system"); code != 2 || !strings.Contains(out, "choose another with --namespace") {
		t.Errorf("in a namespace that is left out: exit code %d, %s", code, out)
	}
}

// noCanary: no pod of a check is left.
func noCanary(t *testing.T, s *stack.Stack) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		left, err := s.Client().CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: "heteroaccel.io/check"})
		if err == nil && len(left.Items) > 0 {
			err = fmt.Errorf("%d pods of a check are left", len(left.Items))
		}
		return err
	})
}

// kubeadmTook: kube-scheduler runs with the file that scheduler-config writes, as it
// is, and asks the extender.
func kubeadmTook(t *testing.T, s *stack.Stack) {
	kubeconfig, err := s.KubeconfigFor("system:kube-scheduler")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out, code := run(t, s, "scheduler-config", "--for", "kubeadm", "--to", dir, "--scheduler-kubeconfig", kubeconfig,
		"--address", strings.TrimPrefix(s.URL("extender verbs", ""), "http://"))
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	if err := s.RestartSchedulerWith(t.Context(), filepath.Join(dir, "kube-scheduler.yaml")); err != nil {
		t.Fatal(err)
	}
	says(t, s, check.OK, "scheduler", "kube-scheduler asked the extender")
	if err := s.RestartScheduler(t.Context(), extenders(t, s)); err != nil {
		t.Fatal(err)
	}

	// By itself it names the Service's address, and every profile's resources.
	service, err := s.Client().CoreV1().Services(stack.Namespace).Get(t.Context(), "heteroaccel-extender", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out, code = run(t, s, "scheduler-config", "--for", "k3s")
	for _, part := range []string{"urlPrefix: http://" + service.Spec.ClusterIP + ":8888/scheduler\n", "- name: vpu.intel.com/hddl\n"} {
		if code != 0 || !strings.Contains(out, part) {
			t.Errorf("exit code %d, no %q in:\n%s", code, part, out)
		}
	}
	if out, code := run(t, s, "scheduler-config", "--for", "k3s", "--mtls"); code != 2 || !strings.Contains(out, "install the component deploy/extender-tls") {
		t.Errorf("over TLS, where there is none: exit code %d, %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "kubeadm.yaml")); err != nil {
		t.Error(err)
	}
}

// look checks a cluster within the test, with a caller's rights.
func look(ctx context.Context, s *stack.Stack, config *rest.Config) ([]check.Line, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 50, 100
	g, err := gather.New(gather.Config{
		REST: config, System: stack.Namespace, Exporters: stack.ExporterNamespace, Namespace: metav1.NamespaceDefault,
		Pages: s.URL("extender", ""), Canary: true, Version: "v0.1.0", Release: true,
	})
	if err != nil {
		return nil, err
	}
	return check.Run(g.Gather(ctx)), nil
}

// says checks until one line is as wanted. What is broken or fixed takes the cluster a
// moment to notice.
func says(t *testing.T, s *stack.Stack, result check.Result, name, part string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		lines, err := look(ctx, s, s.REST())
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(lines, func(l check.Line) bool {
			return l.Result == result && l.Check == name && strings.Contains(l.Message, part)
		}) {
			return fmt.Errorf("no line %s %s with %q:\n%s", result, name, part, report(lines))
		}
		return nil
	})
}

// sound checks until nothing is wrong.
func sound(t *testing.T, s *stack.Stack) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		lines, err := look(ctx, s, s.REST())
		if err == nil && check.Failed(lines) {
			err = errors.New(report(lines))
		}
		return err
	})
}

func report(lines []check.Line) string {
	var b strings.Builder
	if err := check.Text(&b, lines); err != nil {
		return err.Error()
	}
	return b.String()
}

// uncheckable: what the caller may not see is neither OK nor wrong.
func uncheckable(t *testing.T, s *stack.Stack) {
	sound(t, s)
	config := s.REST()
	config.Impersonate = rest.ImpersonationConfig{UserName: "somebody", Groups: []string{"system:authenticated"}}
	lines, err := look(t.Context(), s, config)
	if err != nil {
		t.Fatal(err)
	}
	denied := 0
	for _, l := range lines {
		if l.Result == check.Wrong {
			t.Errorf("%s is wrong for somebody who may not see it: %s", l.Check, l.Message)
		}
		if l.Result == check.NotChecked && strings.Contains(l.Message, "you may not") {
			denied++
		}
	}
	if denied < 10 {
		t.Errorf("only %d checks were denied:\n%s", denied, report(lines))
	}
}

// interrupted: a check that is interrupted while its pod exists removes it.
func interrupted(t *testing.T, s *stack.Stack) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watching, err := s.Client().CoreV1().Pods(metav1.NamespaceDefault).Watch(ctx, metav1.ListOptions{LabelSelector: "heteroaccel.io/check"})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan bool, 1)
	go func() {
		_, there := <-watching.ResultChan()
		seen <- there
		cancel()
	}()
	if _, err := look(ctx, s, s.REST()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if !<-seen {
		t.Fatal("no pod was created")
	}
	noCanary(t, s)
}
