package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/exporter/collector"
	"heteroaccel.io/exporter/dradriver"
	"heteroaccel.io/exporter/podresources"
	"heteroaccel.io/exporter/testmachine"
	"heteroaccel.io/pkg/accel"
)

// driven is the node of a Core Ultra whose exporter is a DRA driver, with the rights
// that deploy/device-driver gives it and no other.
const driven = "core-ultra"

// TestDeviceDriver: what the exporter publishes is accepted by a real API server and
// given to pods by a stock kube-scheduler; it writes nothing while nothing changes, and
// for no other node or driver.
func TestDeviceDriver(t *testing.T) {
	s := borrow(t, learns)
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"base/exporter/namespace", "base/exporter/serviceaccount", "device-driver/rbac", "device-driver/policy", "device-driver/classes"} {
		path := filepath.Join(root, "deploy", file+".yaml")
		if said, err := s.Kubectl(t.Context(), "apply", "--server-side", "-f", path); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if strings.HasPrefix(file, "device-driver/") {
			t.Cleanup(func() {
				if said, err := s.Kubectl(context.Background(), "delete", "-f", path); err != nil {
					t.Errorf("%v: %s", err, said)
				}
			})
		}
	}
	handmadeNode(t, s, driven)
	exporter := exporterAccount(t, s, driven)
	sys, proc := testmachine.Write(t, "core-ultra")

	one := startDriver(t, exporter, sys, proc, "one")
	const gpu, npu = "gpu-0000-00-02-0", "npu-0000-00-0b-0"
	expectSlices(t, s, "cpu", gpu, npu)
	sharedAccordingToTheSlice(t, s, gpu, 4)

	t.Run("taints", func(t *testing.T) {
		link := filepath.Join(sys, "devices/pci0000:00/0000:00:0b.0/power/runtime_status")
		before, err := os.ReadFile(link)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(link, []byte("error\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		expectSlices(t, s, "cpu", gpu, npu+" unhealthy=the-kernel-failed-to-power-it-up-or-down")
		if err := os.WriteFile(link, before, 0o644); err != nil {
			t.Fatal(err)
		}
		expectSlices(t, s, "cpu", gpu, npu)
	})
	t.Run("two instances, and nothing to write", func(t *testing.T) {
		version := sliceVersions(t, s)
		startDriver(t, exporter, sys, proc, "two")
		one()
		// More readings than it takes to remove a taint, on both.
		readings := time.NewTicker(100 * time.Millisecond)
		defer readings.Stop()
		for range 10 {
			<-readings.C
			if diff := cmp.Diff(version, sliceVersions(t, s)); diff != "" {
				t.Fatalf("ResourceSlices were written (-before +after)\n%s", diff)
			}
		}
	})
	t.Run("pods", func(t *testing.T) { podsGetDevices(t, s) })
	t.Run("other nodes and drivers", func(t *testing.T) { exporterIsHeld(t, s, exporter) })
}

// handmadeNode is one that no kubelet, nor kwok, keeps.
func handmadeNode(t *testing.T, s *stack.Stack, name string) {
	t.Helper()
	nodes := s.Client().CoreV1().Nodes()
	n, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nodes.Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	// Controllers write a new node too.
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if n, err = nodes.Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		n.Status.NodeInfo.ContainerRuntimeVersion = "containerd://2.4.2"
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now()}}
		n.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110")}
		n.Status.Allocatable = n.Status.Capacity
		_, err := nodes.UpdateStatus(t.Context(), n, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// exporterAccount is how the exporter's pod on a node reaches the API server: by a token
// that says which node that is, or no node at all for "".
func exporterAccount(t *testing.T, s *stack.Stack, node string) *rest.Config {
	t.Helper()
	core := s.Client().CoreV1()
	request := &authenticationv1.TokenRequest{}
	if node != "" {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "exporter-", Namespace: stack.ExporterNamespace},
			Spec: corev1.PodSpec{NodeName: node, ServiceAccountName: "heteroaccel-exporter", TerminationGracePeriodSeconds: new(int64(0)),
				Containers: []corev1.Container{{Name: "exporter", Image: "heteroaccel/heteroaccel"}}},
		}
		pod, err := core.Pods(stack.ExporterNamespace).Create(t.Context(), pod, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := core.Pods(pod.Namespace).Delete(context.Background(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
				t.Error(err)
			}
		})
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID}
	}
	request, err := core.ServiceAccounts(stack.ExporterNamespace).CreateToken(t.Context(), "heteroaccel-exporter", request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(s.REST())
	config.BearerToken = request.Status.Token
	return config
}

// startDriver runs the driver until the test ends, or stop is called.
func startDriver(t *testing.T, account *rest.Config, sys, proc string, uid types.UID) (stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "dra") // short, for the paths of sockets
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(account)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dradriver.New(dradriver.Config{
		Node: driven, PodUID: uid, Kinds: []accel.Kind{accel.CPU, "GPU", "NPU"}, Slots: map[accel.Kind]int{"GPU": 4},
		RegistryDir: filepath.Join(dir, "registry"), DataDir: filepath.Join(dir, "data"), CDIDir: filepath.Join(dir, "cdi"),
		Sys: sys, Proc: proc, Dev: "/dev", Refresh: 100 * time.Millisecond,
	}, client, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	kubelet, err := podresources.New(filepath.Join(dir, "none.sock"))
	if err != nil {
		t.Fatal(err)
	}
	c := collector.New(collector.Config{Node: driven, Sys: sys, Proc: proc, Timeout: time.Second, Driven: d.Driven}, kubelet.Ask, zerolog.Nop())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, c.Read) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-ended, kubelet.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// slicesOf are the node's.
func slicesOf(ctx context.Context, s *stack.Stack) ([]resourceapi.ResourceSlice, error) {
	list, err := s.Client().ResourceV1().ResourceSlices().List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + driven})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func sliceVersions(t *testing.T, s *stack.Stack) map[string]string {
	t.Helper()
	found, err := slicesOf(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, one := range found {
		out[one.Name] = one.ResourceVersion
	}
	return out
}

// expectSlices waits until these devices are published, each with its taints.
func expectSlices(t *testing.T, s *stack.Stack, want ...string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		found, err := slicesOf(ctx, s)
		var got []string
		for _, one := range found {
			for _, d := range one.Spec.Devices {
				name := d.Name
				for _, taint := range d.Taints {
					name += " " + strings.TrimPrefix(taint.Key, accel.DeviceDriver+"/") + "=" + taint.Value
				}
				got = append(got, name)
			}
		}
		if !slices.Equal(got, want) {
			return errors.Join(fmt.Errorf("published is %q, want %q", got, want), err)
		}
		return nil
	})
}

// sharedAccordingToTheSlice: the API server has kept all of a shared device.
func sharedAccordingToTheSlice(t *testing.T, s *stack.Stack, name string, slots int64) {
	t.Helper()
	found, err := slicesOf(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found[0].Spec.Devices {
		capacity, ok := d.Capacity[accel.CapacitySlots]
		if shared := d.AllowMultipleAllocations != nil && *d.AllowMultipleAllocations; shared != (d.Name == name || d.Name == "cpu") || ok != (d.Name == name) {
			t.Errorf("%s is shared: %v, with slots: %v", d.Name, shared, ok)
		}
		if ok && (capacity.Value.Value() != slots || capacity.RequestPolicy.Default.Value() != 1) {
			t.Errorf("%s has %s slots", d.Name, capacity.Value.String())
		}
		root := d.Attributes["resource.kubernetes.io/pcieRoot"].StringValue
		if d.Name != "cpu" && (root == nil || *root != "pci0000:00") {
			t.Errorf("%s is below the root %v", d.Name, root)
		}
	}
}
