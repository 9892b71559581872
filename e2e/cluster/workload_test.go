package cluster_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	podresources "k8s.io/kubelet/pkg/apis/podresources/v1"

	"heteroaccel.io/e2e/cluster"
)

const deploymentManifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: server}
spec:
  replicas: 1
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}}
    spec:
      containers:
      - name: server
        image: server
        resources: {limits: {gpu.intel.com/i915: 1}}
`

func deployment(t *testing.T, c *cluster.Cluster) {
	create(t, c, deploymentManifest)
	want(t, c, "deployment server", "{.status.availableReplicas}", "1")
	pod := get(t, c, "pods -l app=server", "{.items[0].metadata.name}")
	if node := get(t, c, "pod "+pod, "{.spec.nodeName}"); node != "g" {
		t.Errorf("the pod runs on %s, want g", node)
	}
	eventually(t, 5*time.Second, func() string {
		if got := held(t, c, "g"); got != pod+" card0-0" {
			return fmt.Sprintf("PodResources of g lists %q, want %q", got, pod+" card0-0")
		}
		return ""
	})
	if _, err := c.Kubectl(t.Context(), "scale", "deployment", "server", "--replicas=2"); err != nil {
		t.Fatal(err)
	}
	const waiting = `{.items[?(@.status.phase=="Pending")].status.conditions[?(@.type=="PodScheduled")].reason}`
	want(t, c, "pods -l app=server", waiting, "Unschedulable")
	// When the first goes, the second gets the device.
	if _, err := c.Kubectl(t.Context(), "delete", "pod", pod, "--wait=false"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() string {
		if got := held(t, c, "g"); !strings.HasSuffix(got, " card0-0") || strings.HasPrefix(got, pod) {
			return fmt.Sprintf("PodResources of g lists %q, want another pod than %s", got, pod)
		}
		return ""
	})
	if _, err := c.Kubectl(t.Context(), "delete", "deployment", "server"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "pods -l app=server", "{.items}", "[]")
	eventually(t, 5*time.Second, func() string { return held(t, c, "g") })
}

// held asks a node's PodResources: "pod device", for each that is held.
func held(t *testing.T, c *cluster.Cluster, node string) string {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+c.Node(node).Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	response, err := podresources.NewPodResourcesListerClient(conn).List(t.Context(), &podresources.ListPodResourcesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, pod := range response.PodResources {
		for _, container := range pod.Containers {
			for _, d := range container.Devices {
				lines = append(lines, pod.Name+" "+strings.Join(d.DeviceIds, ","))
			}
		}
	}
	return strings.Join(lines, "\n")
}

func jobManifest(name, annotations string) string {
	return fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {%s}}
    spec:
      restartPolicy: Never
      initContainers: [{name: fetch, image: fetch}]
      containers:
      - name: infer
        image: infer
        resources: {limits: {vpu.intel.com/hddl: 1}}
`, name, annotations)
}

func job(t *testing.T, c *cluster.Cluster) {
	begin := time.Now()
	create(t, c, jobManifest("timed", cluster.DurationAnnotation+": 2s"))
	want(t, c, "pods -l job-name=timed", "{.items[0].status.phase}", "Running")
	// A change of the pod does not begin the two seconds anew.
	if _, err := c.Kubectl(t.Context(), "annotate", "pods", "-l", "job-name=timed", "touched=yes"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "job timed", "{.status.succeeded}", "1")
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("the Job was done after %s, want 2 s at least", took)
	}
	want(t, c, "pods -l job-name=timed", "{.items[0].status.phase}", "Succeeded")
}

func endless(t *testing.T, c *cluster.Cluster) {
	create(t, c, jobManifest("endless", ""))
	want(t, c, "pods -l job-name=endless", "{.items[0].status.phase}", "Running")
	// Told so later, it ends.
	if _, err := c.Kubectl(t.Context(), "annotate", "pods", "-l", "job-name=endless", cluster.DurationAnnotation+"=0s"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "job endless", "{.status.succeeded}", "1")
	// One that is deleted while it runs counts as failed.
	create(t, c, jobManifest("deleted", ""))
	want(t, c, "pods -l job-name=deleted", "{.items[0].status.phase}", "Running")
	if _, err := c.Kubectl(t.Context(), "delete", "pods", "-l", "job-name=deleted", "--wait=false"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "job deleted", "{.status.failed}", "1")
	want(t, c, "pods -l job-name=deleted", "{.items}", "[]")
}
