package nodes

import (
	"math"
	"runtime"
	"testing"
	"time"

	"heteroaccel.io/exporter/discovery"
)

// TestLoad: what stands for /proc/stat is read as the kernel's is, whatever
// stood there before.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	l, err := newLoad(dir, "g")
	if err != nil {
		t.Fatal(err)
	}
	defer l.stop()
	cores := float64(runtime.NumCPU())
	for _, up := range []time.Duration{time.Hour, time.Minute} { // longer figures first
		l.begin = time.Now().Add(-up)
		busy := up / 4
		if err := l.write(busy, 0.5); err != nil {
			t.Fatal(err)
		}
		cpu, err := discovery.ReadCPU(dir)
		if err != nil {
			t.Fatal(err)
		}
		if cpu.Cores != cores || cpu.Load != 0.5 {
			t.Errorf("%g cores with a load of %g, want %g and 0.5", cpu.Cores, cpu.Load, cores)
		}
		if math.Abs(cpu.Busy-busy.Seconds()) > 0.1 || math.Abs(cpu.Total-up.Seconds()*cores) > 5 {
			t.Errorf("%g of %g seconds busy, want %g of %g", cpu.Busy, cpu.Total, busy.Seconds(), up.Seconds()*cores)
		}
	}
	// No more than all of them can be busy.
	if err := l.write(24*time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	if cpu, err := discovery.ReadCPU(dir); err != nil || cpu.Busy > cpu.Total {
		t.Errorf("%+v, %v", cpu, err)
	}
}

func TestAddresses(t *testing.T) {
	for i, want := range []string{"10.213.0.11", "10.213.0.12"} {
		if got := nodeAddress(i).String(); got != want {
			t.Errorf("node %d is at %s, want %s", i, got, want)
		}
	}
	if got := podsOf(1).String(); got != "10.214.12.0/24" {
		t.Errorf("the pods of node 1 are in %s", got)
	}
}
