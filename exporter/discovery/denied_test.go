package discovery

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"heteroaccel.io/exporter/testmachine"
)

// An attribute without the permission to read it is an error, makes its value
// unknown, and hides no device.
func TestPermissionDenied(t *testing.T) {
	const gpu, npu = "devices/pci0000:00/0000:00:02.0/", "devices/pci0000:00/0000:00:0b.0/"
	sys, proc := testmachine.Write(t, "core-ultra")
	for dir := sys; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, attribute := range []string{gpu + "numa_node", gpu + "config", gpu + "drm/card1/gt/gt0/rc6_residency_ms", npu + "npu_busy_time_us", npu + "power_state"} {
		if err := os.Chmod(filepath.Join(sys, attribute), 0); err != nil {
			t.Fatal(err)
		}
	}
	type answer struct {
		found []Device
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
		found, err := all(t, Mounts{sys, proc})
		done <- answer{found, err}
	}()
	got := <-done
	if len(got.found) != 2 || got.found[0].Driver != "i915" || got.found[1].Model != "NPU of Meteor Lake" || got.found[1].Activity.Busy != nil {
		t.Errorf("found %+v", got.found)
	}
	for _, d := range got.found {
		if d.Fault != "" || d.Unknown == "" {
			t.Errorf("%s: fault %q, unknown %q; what cannot be read is unknown", d.ID, d.Fault, d.Unknown)
		}
	}
	if got.err == nil || !strings.Contains(got.err.Error(), "permission denied") {
		t.Errorf("error %v", got.err)
	}
}
