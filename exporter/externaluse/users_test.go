package externaluse

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// process is a process in procfs.
type process struct {
	comm, cgroup string
	files        []string
}

// procfs writes a procfs.
func procfs(t testing.TB, processes map[int]process) string {
	t.Helper()
	root := t.TempDir()
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for pid, p := range processes {
		dir := filepath.Join(root, strconv.Itoa(pid))
		if err := os.MkdirAll(filepath.Join(dir, "fd"), 0o755); err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(dir, "comm"), p.comm+"\n")
		write(filepath.Join(dir, "cgroup"), p.cgroup+"\n")
		for i, file := range p.files {
			if err := os.Symlink(file, filepath.Join(dir, "fd", strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(filepath.Join(root, "uptime"), "1 1")
	return root
}

const (
	render = "/dev/dri/renderD128"
	stick  = "/dev/bus/usb/001/004"
)

func TestUsers(t *testing.T) {
	user := "0::/user.slice/session-1.scope"
	none := map[string]string{}
	for name, tc := range map[string]struct {
		processes map[int]process
		want      map[string]string
	}{
		"nobody": {map[int]process{1: {"init", "0::/init.scope", []string{"/dev/null", "socket:[1]"}}}, none},
		"the lowest process id of several": {map[int]process{
			30: {"later", user, []string{render}}, 4: {"blender", user, []string{render, render}}, 200: {"mvnc", user, []string{stick}},
		}, map[string]string{render: "blender", stick: "mvnc"}},
		"every sort of device file": {map[int]process{9: {"all", user, []string{render, stick, "/dev/accel/accel0", "/dev/dfl-port.0", "/dev/intel-fpga-port.0", "/dev/nvidia0"}}},
			map[string]string{render: "all", stick: "all", "/dev/accel/accel0": "all", "/dev/dfl-port.0": "all", "/dev/intel-fpga-port.0": "all", "/dev/nvidia0": "all"}},
		"files that begin like one":               {map[int]process{9: {"x", user, []string{render + "0", "/dev/nvidia01", "/host" + render, render + " (deleted) "}}}, none},
		"a device file that was recreated":        {map[int]process{9: {"x", user, []string{render + " (deleted)"}}}, map[string]string{render: "x"}},
		"a name longer than any":                  {map[int]process{9: {"x", user, []string{render + strings.Repeat("0", 3000)}}}, none},
		"a display server holds the primary node": {map[int]process{9: {"Xorg", user, []string{"/dev/dri/card0"}}}, none},
		"who draws the screen, or keeps a driver awake": {map[int]process{
			7: {"Xwayland", user, []string{render}}, 8: {"gnome-shell", user, []string{render}}, 9: {"nvidia-persiste", "0::/system.slice/nvidia-persistenced.service", []string{"/dev/nvidia0"}},
		}, none},
		"a command without a name":               {map[int]process{9: {"", user, []string{render}}}, map[string]string{render: "unknown"}},
		"a container of Docker's":                {map[int]process{9: {"python", "0::/system.slice/docker-0123456789ab.scope", []string{render}}}, map[string]string{render: "python"}},
		"a container of Docker's, version 1":     {map[int]process{9: {"python", "9:memory:/docker/0123456789abcdef\n1:name=systemd:/docker/0123456789abcdef", []string{render}}}, map[string]string{render: "python"}},
		"a container of containerd's own":        {map[int]process{9: {"python", "0::/default/job", []string{render}}}, map[string]string{render: "python"}},
		"the kubelet, and names like a pod's":    {map[int]process{9: {"kubelet", "0::/system.slice/kubelet.service", []string{render}}, 10: {"x", "0::/user.slice/mykubepods", []string{stick}}}, map[string]string{render: "kubelet", stick: "x"}},
		"a process below a namespace's own root": {map[int]process{9: {"x", "0::/../../../user.slice", []string{render}}}, map[string]string{render: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Users(procfs(t, tc.processes), []string{render, stick, "/dev/accel/accel0", "/dev/dfl-port.0", "/dev/intel-fpga-port.0", "/dev/nvidia0"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Cgroups as container runtimes name them, by driver and version.
func TestPods(t *testing.T) {
	for name, group := range map[string]string{
		"cgroupfs, version 1":        "11:memory:/kubepods/burstable/pod5d8e4b8e-3b0a-4f0e-8a54-0123456789ab/0123456789abcdef\n1:name=systemd:/",
		"cgroupfs, version 2":        "0::/kubepods/pod5d8e4b8e-3b0a-4f0e-8a54-0123456789ab/0123456789abcdef",
		"systemd, containerd":        "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod5d8e4b8e_3b0a_4f0e_8a54_0123456789ab.slice/cri-containerd-0123456789abcdef.scope",
		"systemd, CRI-O":             "0::/kubepods.slice/kubepods-pod5d8e4b8e_3b0a_4f0e_8a54_0123456789ab.slice/crio-0123456789abcdef.scope/container",
		"systemd, version 1":         "12:devices:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5d8e4b8e_3b0a_4f0e_8a54_0123456789ab.slice/docker-0123456789abcdef.scope",
		"a root of the kubelet's":    "0::/NAME/kubepods/pod1/x",
		"that with systemd":          "0::/node.slice/node-kubepods.slice/node-kubepods-burstable.slice/x.scope",
		"a node that is a container": "0::/docker/0123456789abcdef/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/x",
		"a namespace of our own":     "0::/../../burstable/pod5d8e4b8e-3b0a-4f0e-8a54-0123456789ab/x",
		"that with systemd too":      "0::/../../kubepods-besteffort-pod5d8e4b8e_3b0a_4f0e_8a54_0123456789ab.slice/cri-containerd-01.scope",
		"a static pod":               "0::/../pod0123456789abcdef0123456789abcdef/x",
		"Kata, in the pod's group":   "0::/kubepods/besteffort/pod5d8e4b8e-3b0a-4f0e-8a54-0123456789ab/kata_0123456789abcdef",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Users(procfs(t, map[int]process{2: {"pod's", group, []string{render}}}), []string{render})
			if err != nil || len(got) > 0 {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// A process may end at any time: then it is gone, or some of its files are.
func TestUsersWhileProcessesEnd(t *testing.T) {
	root := procfs(t, map[int]process{5: {"blender", "0::/x", []string{render}}, 6: {"a", "", []string{render}}, 7: {"b", "", nil}, 8: {"c", "0::/x", []string{render}}})
	for _, gone := range []string{"6/cgroup", "7/fd", "8/comm"} {
		if err := os.RemoveAll(filepath.Join(root, gone)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Users(root, []string{render})
	if diff := cmp.Diff(map[string]string{render: "blender"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func TestUsersSaysWhatItCannotRead(t *testing.T) {
	if _, err := Users(filepath.Join(t.TempDir(), "none"), []string{render}); err == nil {
		t.Error("no procfs, and no error")
	}
	root := procfs(t, map[int]process{5: {"blender", "0::/x", []string{render}}, 9: {"x", "", []string{render}}})
	if err := os.Remove(filepath.Join(root, "9/cgroup")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "9/cgroup"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Users(root, []string{render})
	if err == nil || !strings.Contains(err.Error(), "cgroup") || got[render] != "blender" {
		t.Errorf("got %v, error %v", got, err)
	}
}

// The test's own process has a file open, in the real procfs.
func TestUsersOnARealProcfs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	group, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{path: strings.TrimSpace(string(comm))}
	if pod.Match(group) {
		want = map[string]string{}
	}
	// Another process of the machine may be closed to us: not ours.
	got, _ := Users("/proc", []string{path})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The open files of another user's process may not be read: what can be read is
// still reported.
func TestUsersWithoutTheRight(t *testing.T) {
	root := procfs(t, map[int]process{5: {"blender", "0::/x", []string{render}}, 6: {"hidden", "0::/x", []string{stick}}})
	if err := os.Chmod(filepath.Join(root, "6/fd"), 0); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{root, filepath.Dir(root)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	type answer struct {
		users map[string]string
		err   error
	}
	done := make(chan answer)
	go func() {
		// The thread looks at files as nobody, for whom there are no
		// exceptions, and ends with the goroutine that it is locked to.
		runtime.LockOSThread()
		if os.Getuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				done <- answer{nil, err}
				return
			}
		}
		users, err := Users(root, []string{render, stick})
		done <- answer{users, err}
	}()
	got := <-done
	if got.err == nil || !strings.Contains(got.err.Error(), "1 of 2 processes") || got.users[render] != "blender" {
		t.Errorf("got %v, error %v", got.users, got.err)
	}
}

// A process with a hundred thousand open files, the device last.
func BenchmarkUsersOfManyFiles(b *testing.B) {
	files := make([]string, 100_000)
	for i := range files {
		files[i] = "/var/lib/data/file-of-a-database"
	}
	files[len(files)-1] = render
	root := procfs(b, map[int]process{5: {"database", "0::/x", files}})
	b.ReportAllocs()
	for b.Loop() {
		if got, err := Users(root, []string{render}); err != nil || got[render] != "database" {
			b.Fatal(got, err)
		}
	}
}
