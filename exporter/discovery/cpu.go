package discovery

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/prometheus/procfs"
)

// CPU is the load of the machine's processors.
type CPU struct {
	// Cores is how many logical cores are online.
	Cores float64
	// Busy and Total are core-seconds since boot, summed over the cores.
	Busy, Total float64
	// Load is the load average of the last minute in cores, capped at Cores;
	// -1 when <proc>/loadavg is missing.
	Load float64
}

// ReadCPU reads <proc>/stat and <proc>/loadavg, and <proc>/cpuinfo where stat
// does not list the cores. Waiting for I/O is idle; time stolen by the hypervisor
// is busy, since nothing on this machine can use it.
func ReadCPU(proc string) (CPU, error) {
	fsys, err := procfs.NewFS(proc)
	if err != nil {
		return CPU{}, fmt.Errorf("open %s: %w", proc, err)
	}
	stat, err := fsys.Stat()
	if err != nil {
		return CPU{}, fmt.Errorf("read %s/stat: %w", proc, err)
	}
	out := CPU{Cores: float64(len(stat.CPU)), Load: -1}
	if out.Cores == 0 {
		info, err := fsys.CPUInfo()
		if err != nil {
			return CPU{}, fmt.Errorf("read %s/cpuinfo: %w", proc, err)
		}
		out.Cores = float64(len(info))
	}
	if out.Cores == 0 {
		return CPU{}, fmt.Errorf("no core in %[1]s/stat or %[1]s/cpuinfo", proc)
	}
	t := stat.CPUTotal
	out.Busy = t.User + t.Nice + t.System + t.IRQ + t.SoftIRQ + t.Steal
	out.Total = out.Busy + t.Idle + t.Iowait
	load, err := fsys.LoadAvg()
	switch {
	case err == nil:
		out.Load = min(load.Load1, out.Cores)
	case !errors.Is(err, fs.ErrNotExist):
		return CPU{}, fmt.Errorf("read %s/loadavg: %w", proc, err)
	}
	return out, nil
}
