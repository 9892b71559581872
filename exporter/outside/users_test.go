package outside

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// process is what procfs shows of one.
type process struct {
	comm, cgroup string
	files        []string
}

// procfs writes a tree of processes.
func procfs(t *testing.T, processes map[int]process) string {
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
	for name, tc := range map[string]struct {
		processes map[int]process
		want      map[string]string
	}{
		"nobody": {map[int]process{1: {"init", "0::/init.scope", []string{"/dev/null", "socket:[1]"}}}, map[string]string{}},
		"the lowest process id of several": {map[int]process{
			30: {"later", user, []string{render}}, 4: {"blender", user, []string{render, render}}, 200: {"mvnc", user, []string{stick}},
		}, map[string]string{render: "blender", stick: "mvnc"}},
		"a display server holds the card only": {map[int]process{9: {"Xorg", user, []string{"/dev/dri/card0"}}}, map[string]string{}},
		"a command without a name":             {map[int]process{9: {"", user, []string{render}}}, map[string]string{render: "unknown"}},
		"a container that is no pod's":         {map[int]process{9: {"python", "0::/system.slice/docker-0123.scope", []string{render}}}, map[string]string{render: "python"}},
		"pods": {map[int]process{
			2: {"v1", "11:memory:/kubepods/burstable/pod5d8e4b8e-3b0a-4f0e-8a54-0123456789ab/x\n1:name=x:/", []string{render}},
			3: {"systemd", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod5d8e4b8e_3b0a_4f0e_8a54_0123456789ab.slice/cri-x.scope", []string{render}},
			4: {"own root", "0::/NAME/kubepods/pod1/x", []string{render}},
			5: {"own namespace", "0::/../../burstable/pod5d8e4b8e-3b0a-4f0e-8a54-0123456789ab/x", []string{render}},
			6: {"static pod", "0::/../pod0123456789abcdef0123456789abcdef/x", []string{render}},
		}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Users(procfs(t, tc.processes), []string{render, stick})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A process may end at any time: then it is not there, or has lost parts.
func TestUsersWhileProcessesEnd(t *testing.T) {
	root := procfs(t, map[int]process{5: {"blender", "0::/x", []string{render}}, 6: {"a", "", nil}, 7: {"b", "", nil}})
	for _, gone := range []string{"6/cgroup", "7/fd"} {
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
	root := procfs(t, map[int]process{5: {"blender", "0::/x", []string{render}}})
	if err := os.MkdirAll(filepath.Join(root, "9"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "9", "cgroup"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Users(root, []string{render})
	if err == nil || !strings.Contains(err.Error(), "cgroup") || got[render] != "blender" {
		t.Errorf("got %v, error %v", got, err)
	}
}

// The test's own process holds a file, as procfs itself shows it.
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
