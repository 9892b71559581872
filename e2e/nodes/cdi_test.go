//go:build cluster

package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/image"
	"heteroaccel.io/e2e/machine"
	"heteroaccel.io/e2e/nodes"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/exporter/cdi"
)

const (
	renderD128  = "/dev/dri/renderD128"
	renderGroup = 109
	unplugged   = "/dev/bus/usb/001/007" // which is not in /dev when the container starts
)

// shown is a script that says what its container was given, and opens it.
const shown = `echo groups "${GROUPS[@]}"
echo kind $HETEROACCEL_KIND
for f in /dev/dri/* /dev/bus/usb/*/*; do
	if [ -c $f ]; then
		echo $f $(stat -c '%t:%T %a %g' $f)
		{ exec 3<>$f && echo opened $f; } || echo closed $f
	fi
done`

// TestCDI: from the files that the exporter writes for claims, containerd 2 gives a
// container that is not root's its devices, open to their group, and their kind. Debian's
// containerd starts it without them, and says nothing.
func TestCDI(t *testing.T) {
	root, err := cluster.Root()
	do(t, err)
	programs := filepath.Join(root, "bin", "nodes")
	do(t, cluster.BuildPrograms(t.Context(), programs, cluster.ProgramOptions{Static: true}, "e2e/nodes/nodeinit", "e2e/nodes/janitor"))
	images, err := image.Build(t.Context(), image.Options{Programs: programs}, image.Pause)
	do(t, err)
	two, err := nodes.Containerd2(t.Context(), cluster.NewProgress(os.Stdout))
	do(t, err)
	site, err := nodes.Open(t.Context(), nodes.Config{Programs: programs, Pause: images[image.Pause].Name()})
	do(t, err)
	t.Cleanup(func() { do(t, site.Close()) })

	claim := cdi.Claim{Namespace: "default", Name: "one", UID: "6b0c7f5e-1111-4222-8333-444455556666", Devices: []cdi.Device{
		{Name: "npu-1-2", Kind: "NPU", Nodes: []cdi.Node{{Path: unplugged, GID: 46, Number: &cdi.Number{Major: 189, Minor: 6}}}},
		{Name: "gpu-0000-00-02-0", Kind: "GPU", Nodes: []cdi.Node{{Path: renderD128, GID: renderGroup}}},
	}}
	for _, tc := range []struct {
		name    string
		runtime nodes.Runtime
		want    []string
	}{
		{"debian", nodes.Debian, []string{"groups 65532", "kind"}},
		{"two", two, []string{
			"groups 65532 109 46", "kind gpu",
			"/dev/dri/renderD128 1:3 660 109", "opened /dev/dri/renderD128",
			"/dev/bus/usb/001/007 bd:6 666 46", "closed /dev/bus/usb/001/007", // there is no driver behind the number
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := machine.G()
			m.Name = tc.name
			n, err := site.StartRuntime(t.Context(), m, tc.runtime)
			do(t, err)
			do(t, n.Import(t.Context(), images[image.Pause].Path))
			// As udev would.
			do(t, n.Command(t.Context(), "sh", "-c", fmt.Sprintf("chgrp %d %s && chmod 660 %[2]s", renderGroup, renderD128)).Run())
			files, err := cdi.NewDirectory(n.Path("/run/cdi"))
			do(t, err)
			do(t, files.Write(claim))
			got := runs(t, n, images[image.Pause].Name(), cdi.DeviceID(claim.UID, claim.Devices[0].Name), cdi.DeviceID(claim.UID, claim.Devices[1].Name))
			lines := strings.Split(got, "\n")
			for _, want := range tc.want {
				found := false
				for _, line := range lines {
					found = found || line == want
				}
				if !found {
					t.Errorf("the container does not say %q", want)
				}
			}
			if tc.runtime == nodes.Debian && strings.Contains(got, "/dev/") {
				t.Error("Debian's containerd has CDI: nothing more is needed for it")
			}
			if t.Failed() {
				t.Logf("it says\n%s", got)
			}
		})
	}
}

// runs runs the script in a container with CDI devices, as a kubelet would have it, and
// returns what it printed.
func runs(t *testing.T, n *nodes.Node, image string, devices ...string) string {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+n.Path(n.Socket()), grpc.WithTransportCredentials(insecure.NewCredentials()))
	do(t, err)
	t.Cleanup(func() { do(t, conn.Close()) })
	runtime := cri.NewRuntimeServiceClient(conn)
	host := &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}
	sandbox := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: "shows", Uid: "1", Namespace: "default"}, LogDirectory: "/var/log/shows",
		Linux: &cri.LinuxPodSandboxConfig{CgroupParent: n.CgroupParent(), SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: host}},
	}
	pod, err := runtime.RunPodSandbox(t.Context(), &cri.RunPodSandboxRequest{Config: sandbox})
	do(t, err)
	t.Cleanup(func() {
		_, err := runtime.RemovePodSandbox(context.Background(), &cri.RemovePodSandboxRequest{PodSandboxId: pod.PodSandboxId})
		do(t, err)
	})
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "shows"}, Image: &cri.ImageSpec{Image: image}, LogPath: "log",
		Command: []string{"/usr/bin/bash", "-c", shown},
		Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{
			NamespaceOptions: host, RunAsUser: &cri.Int64Value{Value: 65532}, RunAsGroup: &cri.Int64Value{Value: 65532},
		}},
	}
	// The image has nothing but a program that waits.
	for in, out := range map[string]string{"/usr": "/usr", "/bin": "/usr/bin", "/lib": "/usr/lib", "/lib64": "/usr/lib64"} {
		config.Mounts = append(config.Mounts, &cri.Mount{ContainerPath: in, HostPath: out, Readonly: true})
	}
	for _, d := range devices {
		config.CDIDevices = append(config.CDIDevices, &cri.CDIDevice{Name: d})
	}
	made, err := runtime.CreateContainer(t.Context(), &cri.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, Config: config, SandboxConfig: sandbox})
	do(t, err)
	_, err = runtime.StartContainer(t.Context(), &cri.StartContainerRequest{ContainerId: made.ContainerId})
	do(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	do(t, poll.Until(ctx, func(ctx context.Context) error {
		now, err := runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: made.ContainerId})
		if err == nil && now.Status.State != cri.ContainerState_CONTAINER_EXITED {
			err = errors.New("it runs")
		}
		return err
	}))
	text, err := os.ReadFile(n.Path("/var/log/shows/log"))
	do(t, err)
	var said strings.Builder
	for line := range strings.Lines(string(text)) {
		if fields := strings.SplitN(line, " ", 4); len(fields) == 4 { // time, stream, whether it is a whole line
			said.WriteString(fields[3])
		}
	}
	return said.String()
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
