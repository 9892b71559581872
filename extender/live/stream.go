package live

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/serve"
)

const (
	// MaxViewers is how many may look at a time.
	MaxViewers = 50
	// beat is after how long without news a message is sent all the same: a viewer that
	// hears nothing for longer knows that it is not connected.
	beat = 5 * time.Second
	// patience is how long a viewer may take to take one message.
	patience = 20 * time.Second
	// asked is after how long a viewer's rights are asked for anew.
	asked = 30 * time.Second
	// maxDecisions is how many decisions a first message has.
	maxDecisions = 200
)

// Viewer is what somebody may see. It may be asked for often.
type Viewer struct {
	Nodes bool
	// Pods reports whether the pods of a namespace may be seen.
	Pods func(namespace string) bool
	// NotShown is a sentence on what the answers so far leave out.
	NotShown func() string
	// Again asks anew, and reports whether an answer so far is another by now.
	Again func() (now Viewer, changed bool, err error)
}

// cursor is what a viewer has been sent.
type cursor struct {
	change   uint64 // 0 for nothing
	decided  uint64
	points   uint64
	notShown string
}

// Stream sends somebody what there is to see, and then what changes, a line of JSON for
// each Message, until the request or the board ends. Their rights are asked for every half
// a minute; where they are not known the stream ends.
func (b *Board) Stream(w http.ResponseWriter, r *http.Request, who Viewer) {
	end, err := b.view()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		serve.Error(w, http.StatusServiceUnavailable, "%v", err)
		return
	}
	defer end()
	out, encoder := http.NewResponseController(w), json.NewEncoder(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy would else hold it back
	var at cursor
	ticker, rights := time.NewTicker(beat), time.Now()
	defer ticker.Stop()
	for {
		if time.Since(rights) > asked {
			now, different, err := who.Again()
			if err != nil {
				return
			}
			if who, rights = now, time.Now(); different {
				at = cursor{} // all of it, as it is to be seen now
			}
		}
		m, changed, closed := b.message(&at, who)
		if closed {
			return
		}
		if out.SetWriteDeadline(time.Now().Add(patience)) != nil || encoder.Encode(m) != nil || out.Flush() != nil {
			return // the viewer is gone
		}
		m = Message{} // it may be large, and nobody needs it while we wait
		// At most one message in a while, however often something changes.
		pause := time.NewTimer(looking / 2)
		select {
		case <-pause.C:
		case <-r.Context().Done():
			pause.Stop()
			return
		}
		select {
		case <-changed:
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

// Snapshot is the first message of a stream. While nobody looks the state is read seldom:
// then it is read first, unless that takes long.
func (b *Board) Snapshot(ctx context.Context, who Viewer) Message {
	b.mu.RLock()
	age := b.Inventory.Now().Sub(b.readAt)
	b.mu.RUnlock()
	if age >= looking {
		ctx, cancel := context.WithTimeout(ctx, looking)
		defer cancel()
		read := make(chan struct{})
		select {
		case b.reads <- read:
			select {
			case <-read:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
	}
	m, _, _ := b.message(&cursor{}, who)
	return m
}

// message is what has changed since the cursor, which it moves. changed is closed once
// there is more.
func (b *Board) message(at *cursor, who Viewer) (m Message, changed <-chan struct{}, closed bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return m, nil, true
	}
	m.Time = b.Inventory.Now().UTC()
	if at.change > 0 && !(b.nodes.knows(at.change) && b.pods.knows(at.change)) {
		*at = cursor{}
	}
	first := at.change == 0
	if first {
		m.Begins, m.Since = b.id, &b.began
	}
	podShown := func(key string) bool {
		namespace, _, _ := strings.Cut(key, "/")
		return who.Pods(namespace)
	}
	m.Pods = b.pods.since(at.change, podShown, func(p Pod) Pod {
		if !who.Nodes {
			p.Node, p.Verdict = "", "" // kube-scheduler's words name nodes
		}
		return p
	})
	if who.Nodes {
		m.Nodes = b.nodes.since(at.change, func(string) bool { return true }, func(n Node) Node { return n.seen(who.Pods) })
		if first || b.kindsAt > at.change {
			m.Kinds = b.kinds
		}
		m.Points = b.history.since(at.points)
	}
	if first || b.problemsAt > at.change {
		problems := append([]string{}, b.problems...)
		m.Problems = &problems
	}
	m.Decisions, m.LostDecisions = b.decisions(at, first, who)
	at.change, at.points = b.change, b.history.taken
	if not := who.NotShown(); not != at.notShown || first {
		m.NotShown, at.notShown = not, not
	}
	return m, b.changed, false
}

// decisions are those after the cursor, the last maxDecisions at first.
func (b *Board) decisions(at *cursor, first bool, who Viewer) (entries []journal.Entry, lost uint64) {
	entries, lost, _ = b.Decisions.Since(at.decided)
	if n := len(entries); n > 0 {
		at.decided = entries[n-1].Seq
	}
	entries = slices.DeleteFunc(entries, func(e journal.Entry) bool { return !who.Pods(e.Namespace) })
	slices.SortStableFunc(entries, func(a, b journal.Entry) int { return a.Time.Compare(b.Time) })
	if first {
		return entries[max(0, len(entries)-maxDecisions):], 0
	}
	return entries, lost
}

// seen is a node without the names of pods that are not to be seen.
func (n Node) seen(pods func(namespace string) bool) Node {
	hide := func(holders []Holder) []Holder {
		if !slices.ContainsFunc(holders, func(h Holder) bool { return !pods(h.Namespace) }) {
			return holders
		}
		shown := slices.Clone(holders)
		for i := range shown {
			if !pods(shown[i].Namespace) {
				shown[i] = Holder{}
			}
		}
		return shown
	}
	n.CPU.Pods, n.Unmapped = hide(n.CPU.Pods), hide(n.Unmapped)
	n.Devices = slices.Clone(n.Devices)
	for i := range n.Devices {
		n.Devices[i].Holders = hide(n.Devices[i].Holders)
	}
	return n
}

// Tenures are who had a device in the last hour, the latest first, as far as a viewer may
// see them.
func (b *Board) Tenures(node, device string, pods func(namespace string) bool) []Tenure {
	b.mu.RLock()
	defer b.mu.RUnlock()
	tenures := slices.Clone(b.history.tenures[deviceKey{node, device}])
	for i := range tenures {
		if !pods(tenures[i].Namespace) {
			tenures[i].Holder = Holder{}
		}
	}
	slices.Reverse(tenures)
	return tenures
}
