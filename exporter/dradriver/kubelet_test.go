package dradriver

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	resourceapi "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	dra "k8s.io/kubelet/pkg/apis/dra/v1"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// kubelet plays what the kubelet does with a driver, over its sockets.
type kubelet struct {
	t        *testing.T
	registry string
}

// dial connects to a socket.
func dial(t *testing.T, path string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+path, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// sockets are those in which drivers offer to be registered.
func (k kubelet) sockets() []string {
	k.t.Helper()
	paths, err := filepath.Glob(filepath.Join(k.registry, "*-reg.sock"))
	if err != nil {
		k.t.Fatal(err)
	}
	return paths
}

// register waits for a number of drivers and registers each, in the order of their
// sockets.
func (k kubelet) register(count int) []dra.DRAPluginClient {
	k.t.Helper()
	eventually(k.t, "the drivers' sockets", func() bool { return len(k.sockets()) == count })
	var out []dra.DRAPluginClient
	ctx, cancel := context.WithTimeout(k.t.Context(), 30*time.Second)
	defer cancel()
	for _, path := range k.sockets() {
		client := registration.NewRegistrationClient(dial(k.t, path))
		info, err := client.GetInfo(ctx, &registration.InfoRequest{}, grpc.WaitForReady(true))
		if err != nil {
			k.t.Fatal(err)
		}
		if info.Type != registration.DRAPlugin || info.Name != "devices.heteroaccel.io" || !slices.Contains(info.SupportedVersions, dra.DRAPluginService) {
			k.t.Fatalf("the driver says that it is %v", info)
		}
		if _, err := client.NotifyRegistrationStatus(ctx, &registration.RegistrationStatus{PluginRegistered: true}); err != nil {
			k.t.Fatal(err)
		}
		out = append(out, dra.NewDRAPluginClient(dial(k.t, info.Endpoint)))
	}
	return out
}

func named(claim *resourceapi.ResourceClaim) []*dra.Claim {
	return []*dra.Claim{{Namespace: claim.Namespace, Name: claim.Name, Uid: string(claim.UID)}}
}

// prepare returns the CDI devices of each of a claim's devices, or the error.
func (k kubelet) prepare(client dra.DRAPluginClient, claim *resourceapi.ResourceClaim) ([]string, string) {
	k.t.Helper()
	answer, err := client.NodePrepareResources(k.t.Context(), &dra.NodePrepareResourcesRequest{Claims: named(claim)})
	if err != nil {
		k.t.Fatal(err)
	}
	one := answer.Claims[string(claim.UID)]
	if one == nil {
		k.t.Fatalf("nothing about claim %s: %v", claim.UID, answer)
	}
	var out []string
	for _, d := range one.Devices {
		out = append(out, d.PoolName+"/"+d.DeviceName+"="+strings.Join(d.CdiDeviceIds, ","))
	}
	return out, one.Error
}

func (k kubelet) unprepare(client dra.DRAPluginClient, claim *resourceapi.ResourceClaim) string {
	k.t.Helper()
	answer, err := client.NodeUnprepareResources(k.t.Context(), &dra.NodeUnprepareResourcesRequest{Claims: named(claim)})
	if err != nil {
		k.t.Fatal(err)
	}
	one := answer.Claims[string(claim.UID)]
	if one == nil {
		k.t.Fatalf("nothing about claim %s: %v", claim.UID, answer)
	}
	return one.Error
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		t.Fatalf("waited in vain for %s: %v", what, err)
	}
}

// files are the names in a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
