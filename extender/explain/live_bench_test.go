package explain

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/live"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/telemetry"
)

// BenchmarkViewers is what a viewer of a large cluster is sent, and what viewers cost the
// extender: 5,000 nodes, each scraped every five seconds, on which 12,000 pods run and wait
// of which 50 end a second and 50 begin. It reports the size of the first message, what
// follows in bytes a second for each viewer, and processor time and heap with 20 viewers
// beside those with none.
func BenchmarkViewers(b *testing.B) {
	const nodes, running, waiting, viewers, changes, span = 5000, 4800, 7200, 20, 50, 20 * time.Second
	r := newRig(b)
	inv := inventory.New(inventory.Options{})
	r.pages.Inventory = inv
	r.pages.board = r.pages.newBoard()
	node := func(i int) string { return fmt.Sprintf("node-%04d", i%nodes) }
	for i := range nodes {
		l := extendertest.List("cpu", "8", "memory", "16Gi", "pods", "110", extendertest.GPU, "1")
		inv.SetNode(inventory.NodeOf(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node(i)}, Status: corev1.NodeStatus{Capacity: l, Allocatable: l}}))
	}
	pod := func(i int, on string) {
		p := extendertest.Managed(fmt.Sprintf("camera-%06d", i), on, "GPU", nil, extendertest.GPU, "1")
		p.CreationTimestamp = metav1.Now()
		inv.SetPod(extendertest.Record(p))
	}
	for i := range running + waiting {
		if i < running {
			pod(i, node(i))
		} else {
			pod(i, "")
		}
	}
	scrape := func(i int) {
		d := extendertest.Device("GPU", "0000:00:02.0", extendertest.GPU, func(d *accel.Device) { d.Busy = new(rand.Float64()) })
		inv.SetTelemetry(telemetry.Scrape{Node: node(i), Time: time.Now(), Devices: []accel.Device{d}, CPUCores: 8, CPUBusy: 8 * rand.Float64()})
	}
	stop := make(chan struct{})
	var churn sync.WaitGroup
	churn.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for second := 0; ; second++ {
			for i := range nodes / 5 {
				scrape(second*nodes/5 + i)
			}
			for i := range changes {
				ended := second*changes + i
				inv.DeletePod("default", fmt.Sprintf("camera-%06d", ended))
				pod(running+ended, node(ended))
				pod(running+waiting+ended, "")
				r.decided.Add(journal.Entry{Time: time.Now(), What: journal.Waits, Namespace: "default", GenerateName: "camera-", Inference: "face-recognition", Kind: "GPU", Reason: "waits for GPU (0 of 5000 free), which is expected to be done first, in 12m0s"})
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	r.run(b)
	for b.Loop() {
		alone := spend(span)
		var first, sent atomic.Int64
		var looking sync.WaitGroup
		var open []io.Closer
		for range viewers {
			resp, err := http.Get(r.URL + streamPath)
			if err != nil {
				b.Fatal(err)
			}
			open = append(open, resp.Body)
			lines := bufio.NewReaderSize(resp.Body, 1<<20)
			n, err := skipLine(lines)
			if err != nil {
				b.Fatal(err)
			}
			first.Add(n)
			looking.Go(func() {
				for {
					n, err := skipLine(lines)
					if err != nil {
						return // it was closed
					}
					sent.Add(n)
				}
			})
		}
		before := sent.Load()
		together := spend(span)
		each := float64(sent.Load()-before) / viewers / span.Seconds()
		for _, c := range open {
			_ = c.Close() // nothing is read any more
		}
		looking.Wait()
		b.ReportMetric(float64(first.Load())/viewers/1e6, "MB-first")
		b.ReportMetric(each/1e3, "kB/s-each")
		b.ReportMetric(100*alone.cpu/span.Seconds(), "%cpu-alone")
		b.ReportMetric(100*together.cpu/span.Seconds(), "%cpu-viewed")
		b.ReportMetric(alone.heap/1e6, "MB-heap-alone")
		b.ReportMetric(together.heap/1e6, "MB-heap-viewed")
	}
	close(stop)
	churn.Wait()
	if live.MaxViewers < viewers {
		b.Error("so many may not look")
	}
}

// skipLine reads a line and returns how long it is.
func skipLine(r *bufio.Reader) (n int64, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if n += int64(len(part)); err != bufio.ErrBufferFull {
			return n, err
		}
	}
}

// cost is processor time in seconds, and the heap at the end in bytes.
type cost struct{ cpu, heap float64 }

// spend waits and returns what the process spent meanwhile.
func spend(d time.Duration) cost {
	before := processorTime()
	<-time.After(d)
	c := cost{cpu: processorTime() - before}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	c.heap = float64(m.HeapAlloc)
	return c
}

func processorTime() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0 // it never fails for the process itself
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
