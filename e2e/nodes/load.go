package nodes

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// load keeps files that stand for /proc/stat and /proc/loadavg of a node: the
// processors' work for this node's pods alone, where the host's would count
// every node's and the control plane's.
type load struct {
	node  string
	stat  *os.File
	avg   *os.File
	begin time.Time
	done  chan struct{}
}

// every is how often the files are brought up to date.
const every = 250 * time.Millisecond

func newLoad(dir, node string) (*load, error) {
	l := &load{node: node, begin: time.Now(), done: make(chan struct{})}
	var err error
	if l.stat, err = os.Create(filepath.Join(dir, "stat")); err != nil {
		return nil, fmt.Errorf("make the load of node %s: %w", node, err)
	}
	if l.avg, err = os.Create(filepath.Join(dir, "loadavg")); err != nil {
		return nil, fmt.Errorf("make the load of node %s: %w", node, err)
	}
	return l, l.write(0, 0)
}

// files are what stands for which file of /proc.
func (l *load) files() map[string]string {
	return map[string]string{"stat": l.stat.Name(), "loadavg": l.avg.Name()}
}

func (l *load) run() {
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		average := 0.0
		for before := time.Duration(0); ; {
			select {
			case <-l.done:
				return
			case <-tick.C:
			}
			now, err := used(l.node)
			if err != nil {
				return // the node is being taken away
			}
			// As the kernel's: each minute what was before counts 1/e.
			average += (float64(now-before)/float64(every) - average) * float64(every) / float64(time.Minute)
			before = now
			if err := l.write(now, average); err != nil {
				return
			}
		}
	}()
}

// jiffy is the unit of /proc/stat.
const jiffy = 10 * time.Millisecond

// write overwrites in place, since the files are bound into the node. All
// figures have a fixed width, so that a file never has the rest of an older.
func (l *load) write(busy time.Duration, average float64) error {
	cores := time.Duration(runtime.NumCPU())
	total := time.Since(l.begin) * cores
	busy = min(busy, total)
	var text strings.Builder
	line := func(name string, share time.Duration) {
		fmt.Fprintf(&text, "%-5s %12d 0 0 %12d 0 0 0 0 0 0\n", name, busy/jiffy/share, (total-busy)/jiffy/share)
	}
	line("cpu", 1)
	for i := range cores {
		line(fmt.Sprintf("cpu%d", i), cores)
	}
	fmt.Fprintf(&text, "intr 0\nctxt 0\nbtime %d\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n", l.begin.Unix())
	if _, err := l.stat.WriteAt([]byte(text.String()), 0); err != nil {
		return fmt.Errorf("write the load of node %s: %w", l.node, err)
	}
	if _, err := l.avg.WriteAt(fmt.Appendf(nil, "%5.2f %5.2f %5.2f 1/1 1\n", average, average, average), 0); err != nil {
		return fmt.Errorf("write the load of node %s: %w", l.node, err)
	}
	return nil
}

// stop ends run, if it runs, which a closed file ends as well.
func (l *load) stop() {
	close(l.done)
	l.stat.Close()
	l.avg.Close()
}
