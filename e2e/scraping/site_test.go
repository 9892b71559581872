//go:build cluster

package scraping

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/machine/kubelet"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/process"
	"heteroaccel.io/pkg/monitor"
	"heteroaccel.io/pkg/telemetry"
)

// bin has what the tests run: prometheus, promtool and our exporter.
var bin string

func TestMain(m *testing.M) {
	code, err := func() (int, error) {
		var err error
		if bin, err = os.MkdirTemp("", "scraping"); err != nil {
			return 1, err
		}
		defer os.RemoveAll(bin)
		for name, s := range map[string]cluster.Static{
			"prometheus": {Package: "github.com/prometheus/prometheus/cmd/prometheus"},
			"promtool":   {Package: "github.com/prometheus/prometheus/cmd/promtool"},
			"exporter":   {},
		} {
			dir := name
			if s.Package != "" {
				dir, s.Tags = "e2e/prometheus", []string{"remove_all_sd", "enable_kubernetes_sd"}
			}
			if err := cluster.BuildStatic(context.Background(), dir, filepath.Join(bin, name), s); err != nil {
				return 1, err
			}
		}
		return m.Run(), nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// deployed is a file of deploy/prometheus.
func deployed(t *testing.T, name string) string {
	t.Helper()
	root, err := cluster.Root()
	do(t, err)
	return filepath.Join(root, "deploy", "prometheus", name)
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until problem returns "".
func eventually(t *testing.T, what string, problem func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	err := poll.Until(ctx, func(context.Context) error {
		if p := problem(); p != "" {
			return errors.New(p)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func port(t *testing.T) int {
	t.Helper()
	p, err := cluster.FreePort()
	do(t, err)
	return p
}

// node is a machine with a kubelet and an exporter.
type node struct {
	*machine.Machine
	address string
	kubelet *kubelet.Server
	process *process.Process
}

// startNode runs the exporter of a machine. Where the machine has a GPU the pod
// default/face has it.
func startNode(t *testing.T, m *machine.Machine) *node {
	t.Helper()
	do(t, m.Write(t.TempDir()))
	dir, err := os.MkdirTemp("", "kubelet") // short: it is part of a socket's path
	do(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "face", UID: "face"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "inference", Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"gpu.intel.com/i915": resource.MustParse("1")},
		}}}},
	}
	n := &node{Machine: m, address: fmt.Sprintf("127.0.0.1:%d", port(t))}
	n.kubelet = kubelet.New(filepath.Join(dir, "k.sock"), m, func() []*corev1.Pod { return []*corev1.Pod{pod} }, nil)
	do(t, n.kubelet.Start())
	t.Cleanup(n.kubelet.Stop)
	n.start(t)
	return n
}

// start runs the exporter, at the address of the one before.
func (n *node) start(t *testing.T) {
	t.Helper()
	var err error
	n.process, err = process.Start(process.Spec{
		Name: "exporter " + n.Name, Path: filepath.Join(bin, "exporter"), Log: filepath.Join(t.TempDir(), "exporter.log"),
		Args: []string{"--node-name=" + n.Name, "--path.sysfs=" + n.Sys(), "--path.procfs=" + n.Proc(), "--podresources-socket=" + n.kubelet.Socket(), "--web.listen-address=" + n.address},
	})
	do(t, err)
	t.Cleanup(n.process.Kill)
}

// prometheus is a running Prometheus server.
type prometheus struct {
	url     string
	args    []string
	log     string
	process *process.Process
}

// startPrometheus runs Prometheus with deploy/prometheus/prometheus.yml, in
// which discovery is replaced by the nodes' addresses, and relabelling by labels of
// the same names. change makes another configuration of that: job is the exporters'
// and has the addresses of a tenant's page under "tenants", which are removed.
func startPrometheus(t *testing.T, change func(config, job map[string]any), nodes ...*node) *prometheus {
	t.Helper()
	exporters := map[string]string{}
	for _, n := range nodes {
		exporters[n.Name] = n.address
	}
	return scrape(t, change, exporters, tenant(t, nodes[0].Name))
}

// scrape is startPrometheus with the addresses of the exporters by node, and that of the
// tenant's page.
func scrape(t *testing.T, change func(config, job map[string]any), exporters map[string]string, tenant string) *prometheus {
	t.Helper()
	text, err := os.ReadFile(deployed(t, "prometheus.yml"))
	do(t, err)
	var config map[string]any
	do(t, yaml.UnmarshalStrict(text, &config))
	jobs := config["scrape_configs"].([]any)
	job := jobs[slices.IndexFunc(jobs, func(j any) bool { return j.(map[string]any)["job_name"] == "heteroaccel-exporter" })].(map[string]any)
	delete(job, "kubernetes_sd_configs")
	delete(job, "relabel_configs")
	var targets []any
	for name, address := range exporters {
		targets = append(targets, map[string]any{"targets": []string{address}, "labels": map[string]string{
			"node": name, "namespace": "heteroaccel-exporter", "pod": "heteroaccel-exporter-" + name, "container": "exporter",
		}})
	}
	job["static_configs"] = targets
	job["tenants"] = []any{map[string]any{"targets": []string{tenant}, "labels": map[string]string{"namespace": "tenant"}}}
	config["scrape_configs"] = []any{job}
	change(config, job)
	delete(job, "tenants")
	config["rule_files"] = []string{deployed(t, "rules.yml")}
	dir := t.TempDir()
	text, err = yaml.Marshal(config)
	do(t, err)
	do(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), text, 0o600))
	address := fmt.Sprintf("127.0.0.1:%d", port(t))
	p := &prometheus{url: "http://" + address, log: filepath.Join(dir, "log"), args: []string{
		"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--web.listen-address=" + address,
	}}
	p.start(t)
	return p
}

// start runs the server, without any data.
func (p *prometheus) start(t *testing.T) {
	t.Helper()
	var err error
	p.process, err = process.Start(process.Spec{
		Name: "prometheus", Path: filepath.Join(bin, "prometheus"), Log: p.log,
		Args: append(slices.Clone(p.args), "--storage.tsdb.path="+t.TempDir()),
	})
	do(t, err)
	t.Cleanup(p.process.Kill)
}

// source is what the webhook and the extender make of their flags.
func source(t *testing.T, flags ...string) monitor.Source {
	t.Helper()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	var f monitor.Flags
	f.Add(fs)
	do(t, fs.Parse(flags))
	do(t, f.Check())
	source, err := f.Source(nil)
	do(t, err)
	return source
}

// view is what a source knows, by node, without what differs from one scrape to
// the next.
func view(scrapes []telemetry.Scrape) map[string]telemetry.Scrape {
	out := map[string]telemetry.Scrape{}
	for _, s := range scrapes {
		s.Time, s.CPUBusy, s.Collectors = time.Time{}, 0, nil // collectors are not read from Prometheus
		out[s.Node] = s
	}
	return out
}

// same waits until Prometheus knows what the exporters say.
func same(t *testing.T, what string, through, direct monitor.Source) {
	t.Helper()
	eventually(t, what, func() string {
		want, err := direct(t.Context())
		if err != nil {
			return err.Error()
		}
		got, err := through(t.Context())
		if err != nil {
			return err.Error()
		}
		return cmp.Diff(view(want), view(got))
	})
}

// promtool runs promtool.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "promtool"), args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}
