package cluster_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/machine"
)

// TestCluster runs the real thing once and looks at it from all sides.
func TestCluster(t *testing.T) {
	if _, err := cluster.Build(t.Context(), cluster.BuildOptions{Out: os.Stderr}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	c, err := cluster.Start(t.Context(), cluster.Config{Machines: machine.Paper(), Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	t.Logf("started in %s", time.Since(begin).Round(time.Millisecond))
	t.Run("a Deployment takes the device, a second pod waits", func(t *testing.T) { deployment(t, c) })
	t.Run("a Job runs as long as it says", func(t *testing.T) { job(t, c) })
	t.Run("a Job that does not say runs on", func(t *testing.T) { endless(t, c) })
	t.Run("a node offers what its machine has left", func(t *testing.T) { allocatable(t, c) })
	t.Run("a user has no rights but those given", func(t *testing.T) { user(t, c) })
	t.Run("the scheduler restarts with an extender", func(t *testing.T) { extender(t, c) })
	t.Run("a process is killed and started again", func(t *testing.T) { process(t, c) })
	t.Run("nodes come and go", func(t *testing.T) { nodes(t, c) })
	t.Run("Stop leaves nothing", func(t *testing.T) { stop(t, c) })
}

// create has kubectl create a manifest.
func create(t *testing.T, c *cluster.Cluster, manifest string) {
	t.Helper()
	if _, err := c.KubectlInput(t.Context(), manifest, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// get is what kubectl prints of a field.
func get(t *testing.T, c *cluster.Cluster, what, field string) string {
	t.Helper()
	args := append([]string{"get"}, strings.Fields(what)...)
	out, err := c.Kubectl(t.Context(), append(args, "-o", "jsonpath="+field)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// want polls until a field is value.
func want(t *testing.T, c *cluster.Cluster, what, field, value string) {
	t.Helper()
	eventually(t, 20*time.Second, func() string {
		if got := get(t, c, what, field); got != value {
			return fmt.Sprintf("%s of %s is %q, want %q", field, what, got, value)
		}
		return ""
	})
}

func allocatable(t *testing.T, c *cluster.Cluster) {
	const devices = `{.status.allocatable.gpu\.intel\.com/i915} of {.status.capacity.gpu\.intel\.com/i915}`
	g := c.Node("g").Machine
	for _, step := range []struct {
		healthy bool
		want    string
	}{{false, "0 of 1"}, {true, "1 of 1"}} {
		if err := g.SetHealthy("card0", step.healthy); err != nil {
			t.Fatal(err)
		}
		if err := c.SyncNode(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		if got := get(t, c, "node g", devices); got != step.want {
			t.Errorf("node g has %s, want %s", got, step.want)
		}
		// kwok has seen the change when it has made the node Ready anew.
		if _, err := c.Kubectl(t.Context(), "patch", "node", "g", "--subresource=status", "--type=strategic",
			"-p", `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`); err != nil {
			t.Fatal(err)
		}
		want(t, c, "node g", `{.status.conditions[?(@.type=="Ready")].status}`, "True")
		if got := get(t, c, "node g", devices); got != step.want {
			t.Errorf("after kwok wrote the status, node g has %s, want %s", got, step.want)
		}
	}
}

func user(t *testing.T, c *cluster.Cluster) {
	path, err := c.KubeconfigFor("system:serviceaccount:default:webhook", "system:serviceaccounts")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	list := func() error {
		_, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		return err
	}
	if err := list(); err == nil || !strings.Contains(err.Error(), `"system:serviceaccount:default:webhook" cannot list`) {
		t.Errorf("without rights, listing nodes says %v", err)
	}
	for _, args := range [][]string{
		{"create", "clusterrole", "nodes", "--verb=list", "--resource=nodes"},
		{"create", "clusterrolebinding", "nodes", "--clusterrole=nodes", "--serviceaccount=default:webhook"},
	} {
		if _, err := c.Kubectl(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 5*time.Second, func() string {
		if err := list(); err != nil {
			return err.Error()
		}
		return ""
	})
}

func extender(t *testing.T, c *cluster.Cluster) {
	// Nobody listens there: the scheduler asks, fails, and reports it.
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	away := schedulerv1.Extender{URLPrefix: fmt.Sprintf("http://127.0.0.1:%d", port), FilterVerb: "filter", NodeCacheCapable: true}
	if err := c.RestartScheduler(t.Context(), []schedulerv1.Extender{away}); err != nil {
		t.Fatal(err)
	}
	create(t, c, `{apiVersion: v1, kind: Pod, metadata: {name: asked}, spec: {containers: [{name: c, image: i}]}}`)
	eventually(t, 20*time.Second, func() string {
		message := get(t, c, "pod asked", `{.status.conditions[?(@.type=="PodScheduled")].message}`)
		if !strings.Contains(message, fmt.Sprintf("127.0.0.1:%d", port)) {
			return "the pod's message is " + message
		}
		return ""
	})
	if err := c.RestartScheduler(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want(t, c, "pod asked", "{.status.phase}", "Running")
}

func process(t *testing.T, c *cluster.Cluster) {
	args := []string{"-c", "trap 'echo bye; exit 0' TERM; echo $GREETING; while :; do sleep 0.05; done"}
	start := func(greeting string) *cluster.Process {
		t.Helper()
		p, err := c.StartProcess("greeter", "/bin/sh", args, []string{"GREETING=" + greeting})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, func() string {
			data, err := os.ReadFile(p.Log())
			if err != nil || !strings.Contains(string(data), greeting) {
				return fmt.Sprintf("the log is %q (%v), want %q in it", data, err, greeting)
			}
			return ""
		})
		return p
	}
	first := start("hello")
	if _, err := c.StartProcess("greeter", "/bin/sh", args, nil); err == nil {
		t.Error("two processes of one name ran")
	}
	first.Kill()
	if err := first.Wait(t.Context()); err == nil {
		t.Error("a killed process ended well")
	}
	second := start("again")
	second.Stop()
	if err := second.Wait(t.Context()); err != nil {
		t.Errorf("asked to stop, the process ended with %v", err)
	}
	data, err := os.ReadFile(second.Log())
	if got := string(data); err != nil || got != "hello\nagain\nbye\n" {
		t.Errorf("the log is %q (%v)", got, err)
	}
	second.Kill() // of one that is gone: nothing
}

func nodes(t *testing.T, c *cluster.Cluster) {
	begin := time.Now()
	fleet := machine.Fleet(20, machine.Shape{GPUs: 2, NPUs: 2, FPGAs: 1})
	if err := c.AddNodes(t.Context(), fleet...); err != nil {
		t.Fatal(err)
	}
	t.Logf("20 nodes ready in %s", time.Since(begin).Round(time.Millisecond))
	if err := c.RemoveNode(t.Context(), "node-003"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "nodes -l kubernetes.io/hostname=node-003", "{.items}", "[]")
	if _, err := c.AddNode(t.Context(), fleet[3]); err != nil {
		t.Errorf("add a node again: %v", err)
	}
}

func stop(t *testing.T, c *cluster.Cluster) {
	if before := left(t, c.Dir()); len(before) != 5 {
		t.Errorf("%d processes run, want 5:\n%s", len(before), strings.Join(before, "\n"))
	}
	for _, p := range c.Processes() {
		t.Logf("%s: %s", p.Name(), memory(p.PID()))
	}
	begin := time.Now()
	c.Stop()
	t.Logf("stopped in %s", time.Since(begin).Round(time.Millisecond))
	if after := left(t, c.Dir()); len(after) != 0 {
		t.Errorf("processes stayed:\n%s", strings.Join(after, "\n"))
	}
	if _, err := os.Stat(c.Dir()); !os.IsNotExist(err) {
		t.Errorf("the directory stayed: %v", err)
	}
	if _, err := c.StartProcess("late", "/bin/true", nil, nil); err == nil {
		t.Error("a stopped cluster started a process")
	}
	c.Stop()
}

// memory is the resident memory of a process, for the log.
func memory(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err.Error()
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
