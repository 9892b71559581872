package live

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
)

const (
	// points is how many points are kept: an hour of them.
	points = int(time.Hour / spacing)
	// hour is how long it is known who had a device.
	hour = time.Hour
	// maxTenures bounds what is known of one device, and maxHeld of all.
	maxTenures, maxHeld = 50, 50_000
)

// Tenure is a pod's time on a device.
type Tenure struct {
	Holder
	From time.Time `json:"from"`
	// To is nil while the pod has the device.
	To *time.Time `json:"to,omitempty"`
}

// history is the last hour.
type history struct {
	points            []Point // the latest last
	taken             uint64  // how many there were
	recreated, denied int     // since the last one
	// tenures are who had which device, by node and device, the latest last; all is how
	// many of them there are.
	tenures map[deviceKey][]Tenure
	all     int
}

type deviceKey struct{ node, device string }

func newHistory() history { return history{tenures: map[deviceKey][]Tenure{}} }

// decided counts what was decided since the last point.
func (h *history) decided(recreated, denied int) {
	h.recreated += recreated
	h.denied += denied
}

// add keeps what is now, and how long pods had waited that started since the last one.
func (h *history) add(now time.Time, kinds []Kind, waited []time.Duration) {
	p := Point{Time: now.UTC(), Kinds: kinds, Started: len(waited), Recreated: h.recreated, Denied: h.denied}
	if n := len(waited); n > 0 {
		slices.Sort(waited)
		p.WaitedP50, p.WaitedP99 = waited[(n-1)/2].Seconds(), waited[(n*99+99)/100-1].Seconds()
	}
	h.recreated, h.denied = 0, 0
	if len(h.points) == points {
		h.points = slices.Delete(h.points, 0, 1)
	}
	h.points = append(h.points, p)
	h.taken++
	h.forget(now)
}

// since are the points after the first so many.
func (h *history) since(taken uint64) []Point {
	return h.points[len(h.points)-int(min(h.taken-min(taken, h.taken), uint64(len(h.points)))):]
}

// held takes who has the devices of nodes now.
func (h *history) held(nodes map[string]Node, now time.Time) {
	for name, n := range nodes {
		for i := range n.Devices {
			h.holds(deviceKey{name, n.Devices[i].ID}, n.Devices[i].Holders, now)
		}
	}
}

func (h *history) holds(key deviceKey, holders []Holder, now time.Time) {
	tenures := h.tenures[key]
	for i := range tenures {
		if t := &tenures[i]; t.To == nil && !slices.Contains(holders, t.Holder) {
			to := now.UTC()
			t.To = &to
		}
	}
	for _, holder := range holders {
		if !slices.ContainsFunc(tenures, func(t Tenure) bool { return t.Holder == holder && t.To == nil }) && h.all < maxHeld {
			tenures = append(tenures, Tenure{Holder: holder, From: now.UTC()})
			h.all++
		}
	}
	if n := len(tenures) - maxTenures; n > 0 {
		tenures = slices.Delete(tenures, 0, n)
		h.all -= n
	}
	if len(tenures) > 0 {
		h.tenures[key] = tenures
	}
}

// forget drops what ended more than an hour ago.
func (h *history) forget(now time.Time) {
	for key, tenures := range h.tenures {
		before := len(tenures)
		tenures = slices.DeleteFunc(tenures, func(t Tenure) bool { return t.To != nil && now.Sub(*t.To) > hour })
		h.all -= before - len(tenures)
		if h.tenures[key] = tenures; len(tenures) == 0 {
			delete(h.tenures, key)
		}
	}
}

// waits notes how long pods had waited that started.
type waits struct {
	// started are the pods that had started when they were last looked at; nil before
	// the first time.
	started map[types.UID]bool
	waited  []time.Duration
}

// see takes the pods that there are.
func (w *waits) see(pods []*inventory.Pod) {
	started := make(map[types.UID]bool, len(pods))
	for _, p := range pods {
		if p.Managed == nil || p.Run == nil || p.Run.Created.IsZero() || p.Run.Started.IsZero() {
			continue
		}
		if started[p.UID] = true; w.started != nil && !w.started[p.UID] {
			w.waited = append(w.waited, max(0, p.Run.Started.Sub(p.First())))
		}
	}
	w.started = started
}

// take returns what was noted since the last time.
func (w *waits) take() []time.Duration {
	waited := w.waited
	w.waited = nil
	return waited
}
