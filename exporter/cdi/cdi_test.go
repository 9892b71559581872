package cdi

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	oci "github.com/opencontainers/runtime-spec/specs-go"
	runtime "tags.cncf.io/container-device-interface/pkg/cdi"
	specs "tags.cncf.io/container-device-interface/specs-go"
)

const uid = "0f4f7a6e-7d1a-4a1e-9c53-6a3c3f0c1d11"

// claim is one of a GPU and a stick.
func claim() Claim {
	return Claim{Namespace: "ns", Name: "c", UID: uid, Devices: []Device{
		{Name: "gpu-0000-00-02-0", Kind: "GPU", Nodes: []Node{{Path: "/dev/dri/renderD128", GID: 109}}, Shared: true},
		{Name: "npu-1-2", Kind: "NPU", Nodes: []Node{
			{Path: "/dev/bus/usb/001/004", Number: &Number{189, 3}}, {Path: "/dev/bus/usb/001/005", Number: &Number{189, 4}},
		}},
	}}
}

func TestSpec(t *testing.T) {
	got, err := Spec(claim())
	if err != nil {
		t.Fatal(err)
	}
	want := &specs.Spec{
		Version: "0.7.0", Kind: "devices.heteroaccel.io/claim",
		Annotations: map[string]string{"devices.heteroaccel.io/claim-namespace": "ns", "devices.heteroaccel.io/claim-name": "c", "devices.heteroaccel.io/claim-uid": uid},
		Devices: []specs.Device{
			{
				Name: uid + "-gpu-0000-00-02-0", Annotations: map[string]string{"devices.heteroaccel.io/device": "gpu-0000-00-02-0", "devices.heteroaccel.io/shared": "true"},
				ContainerEdits: specs.ContainerEdits{
					Env: []string{"HETEROACCEL_KIND=gpu"}, AdditionalGIDs: []uint32{109},
					DeviceNodes: []*specs.DeviceNode{{Path: "/dev/dri/renderD128", Permissions: "rw", GID: new(uint32(109))}},
				},
			},
			{
				Name: uid + "-npu-1-2", Annotations: map[string]string{"devices.heteroaccel.io/device": "npu-1-2"},
				ContainerEdits: specs.ContainerEdits{Env: []string{"HETEROACCEL_KIND=npu"}, DeviceNodes: []*specs.DeviceNode{
					{Path: "/dev/bus/usb/001/004", Permissions: "rw", Type: "c", Major: 189, Minor: 3},
					{Path: "/dev/bus/usb/001/005", Permissions: "rw", Type: "c", Major: 189, Minor: 4},
				}},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestDirectory: files are written, replaced, read by another process and removed, and
// those of others stay.
func TestDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cdi")
	d, err := NewDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	if claims, err := d.Claims(); err != nil || len(claims) > 0 {
		t.Errorf("before there is a directory: %v, %v", claims, err)
	}
	if err := d.Remove(uid); err != nil {
		t.Errorf("a claim that is not prepared: %v", err)
	}
	for range 2 {
		if err := d.Write(claim()); err != nil {
			t.Fatal(err)
		}
	}
	foreign := filepath.Join(path, "vendor.com-gpu.json")
	if err := os.WriteFile(foreign, []byte(`{"cdiVersion":"0.6.0"}`), 0o644); err != nil {
		t.Fatal(err)
	}

	other, err := NewDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	want := claim()
	want.Devices[0].Nodes[0].GID = 0
	for i := range want.Devices[1].Nodes {
		want.Devices[1].Nodes[i].Number = nil
	}
	got, there, err := other.Claim(uid)
	if diff := cmp.Diff(want, got); !there || err != nil || diff != "" {
		t.Errorf("%v %v (-want +got)\n%s", there, err, diff)
	}
	if _, there, err := other.Claim("another"); there || err != nil {
		t.Errorf("of another claim: %v %v", there, err)
	}
	if claims, err := other.Claims(); err != nil || !slices.EqualFunc(claims, []Claim{want}, func(x, y Claim) bool { return cmp.Equal(x, y) }) {
		t.Errorf("%v, %v", claims, err)
	}

	// Half a file hides no other, and can be removed.
	if err := os.WriteFile(filepath.Join(path, fileName("half")), []byte(`{"cdiVersion":`), 0o644); err != nil {
		t.Fatal(err)
	}
	claims, err := other.Claims()
	if err == nil || !strings.Contains(err.Error(), "half") || len(claims) != 2 {
		t.Errorf("with half a file: %v, %v", claims, err)
	}
	for _, c := range claims {
		if err := other.Remove(c.UID); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(path, "*"))
	if err != nil || !slices.Equal(names, []string{foreign}) {
		t.Errorf("left are %v, %v", names, err)
	}
}

// TestInjection: the library of the container runtimes makes of the file what a
// container is to have.
func TestInjection(t *testing.T) {
	path := t.TempDir()
	d, err := NewDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	c := claim()
	c.Devices[0].Nodes = []Node{{Path: "/dev/null", GID: 109}} // which every machine has
	if err := d.Write(c); err != nil {
		t.Fatal(err)
	}
	cache, err := runtime.NewCache(runtime.WithSpecDirs(path), runtime.WithAutoRefresh(false))
	if err != nil {
		t.Fatal(err)
	}
	got := &oci.Spec{Process: &oci.Process{User: oci.User{UID: 65532, GID: 65532}}}
	if _, err := cache.InjectDevices(got, DeviceID(uid, "gpu-0000-00-02-0"), DeviceID(uid, "npu-1-2")); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, n := range got.Linux.Devices {
		paths = append(paths, n.Path)
		if n.Path == "/dev/null" && *n.GID != 109 {
			t.Errorf("%s is of group %d", n.Path, *n.GID)
		}
	}
	if diff := cmp.Diff([]string{"/dev/bus/usb/001/004", "/dev/bus/usb/001/005", "/dev/null"}, slices.Sorted(slices.Values(paths))); diff != "" {
		t.Errorf("device files (-want +got)\n%s", diff)
	}
	// Of several devices the last one names the kind.
	if !slices.Contains(got.Process.User.AdditionalGids, 109) || !slices.Contains(got.Process.Env, "HETEROACCEL_KIND=npu") {
		t.Errorf("the process has groups %v and variables %v", got.Process.User.AdditionalGids, got.Process.Env)
	}
}
