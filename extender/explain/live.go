package explain

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"heteroaccel.io/extender/live"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/serve"
)

// newBoard returns what the live page shows.
func (s *Pages) newBoard() *live.Board {
	return live.New(live.Config{
		Inventory: s.Inventory, Decisions: s.Decisions,
		Node: func(n *inventory.Node) live.Node { return liveNode(n, s.viewNode(n, s.classKinds(), everything())) },
		Wait: s.expectedWait, Problems: s.problems,
	})
}

// everything is a viewer who may see everything.
func everything() *viewer { return &viewer{all: true} }

// liveNode is a node as the live page shows it.
func liveNode(n *inventory.Node, v *nodeView) live.Node {
	row := live.Node{
		Name: v.Name, Cordoned: v.Cordoned, Conflict: v.Conflict, Telemetry: "none",
		CPU: live.CPU{Cores: v.CPU.AllocatableCores, Free: v.CPU.FreeCores, Load: tens(v.CPU.Load), Pods: v.CPU.holders},
	}
	switch {
	case v.Telemetry == nil:
	case v.Telemetry.Fresh:
		row.Telemetry = "fresh"
	default:
		at := v.Telemetry.Time.UTC()
		row.Telemetry, row.TelemetryTime = "stale", &at
	}
	for _, d := range v.Devices {
		row.Devices = append(row.Devices, live.Device{
			Kind: d.Kind, ID: d.ID, Model: d.Model, State: d.State, Reason: d.Reason, Load: tens(d.Load), Holders: liveHolders(d.Holders), Share: d.share,
		})
	}
	row.Unmapped = liveHolders(v.Unmapped)
	for _, r := range v.unreported() {
		if len(r.Kinds) > 0 { // of other resources nobody knows what they are for
			d := live.Device{Kind: r.Kinds[0], ID: r.name(), State: fmt.Sprintf("%d of %d free", r.Usable, r.Allocatable)}
			d.Share = live.Share{Total: float64(r.Allocatable), Busy: float64(r.Allocatable - r.Usable), Idle: float64(r.Usable)}
			for _, p := range holdersOf(n, r.Resource) {
				d.Holders = append(d.Holders, live.Holder{Namespace: p.Namespace, Pod: p.Name})
			}
			row.Devices = append(row.Devices, d)
		}
	}
	return row
}

func liveHolders(holders []holderView) (shown []live.Holder) {
	for _, h := range holders {
		shown = append(shown, live.Holder{Namespace: h.Namespace, Pod: h.Pod})
	}
	return shown
}

// tens is a load in percent, in steps of ten.
func tens(load *float64) *int {
	if load == nil {
		return nil
	}
	return new(int(*load*10+.5) * 10)
}

// expectedWait is how long a pending pod with so many before it is expected to wait.
func (s *Pages) expectedWait(p *inventory.Pod, ahead int64) (time.Duration, bool) {
	o := inventory.Option{Kind: p.Managed.Kind, Needs: p.Needs, Constraints: p.Constraints}
	if of, ok := s.Profiles.Get(p.Managed.Inference); ok {
		o.Service = of.Time(o.Kind)
	}
	c := s.Inventory.Candidates(inventory.Query{Namespace: p.Namespace, Options: []inventory.Option{o}})[0]
	if c.Nodes == 0 || p.Gated { // nobody knows when its gates go
		return 0, false
	}
	// Of those that wait, the ones behind it do not count.
	c.Claimed = min(c.Usable, ahead)
	c.Queued = ahead - c.Claimed
	wait := policy.EarliestFinish([]inventory.Candidate{c})[0].Wait
	// Where kube-scheduler finds no node although we count one, nobody knows when it will.
	return wait, wait != policy.Never && (wait > 0 || p.Verdict == "")
}

// problems are sentences on what is not known or wrong, without the names of pods.
func (s *Pages) problems() []string {
	problems := slices.Clone(s.Missing())
	if s.Suspended() {
		problems = append(problems, suspended)
	}
	if wrong := s.Profiles.CRD(); wrong != nil {
		problems = append(problems, wrong.Error())
	}
	for _, b := range s.Bypassed() {
		problems = append(problems, fmt.Sprintf("kube-scheduler does not ask the extender about %s: see / and /scheduler/config", b.Resource))
	}
	return problems
}

var errRights = errors.New("what you may see is unknown, since the API server did not say: try again in a moment, the extender's log says why")

// liveViewer is who asks, for the live page. The error is that it is not known.
func (s *Pages) liveViewer(r *http.Request) (live.Viewer, error) {
	who := s.viewer(r)
	v := live.Viewer{Nodes: who.nodes(), Pods: who.pods, NotShown: who.omission}
	v.Again = func() (live.Viewer, bool, error) {
		now, err := s.liveViewer(r)
		if err != nil {
			return now, false, err
		}
		then := s.viewer(r)
		for q, allowed := range who.asked {
			if then.lists(q.resource, q.namespace) != allowed {
				return now, true, then.err
			}
		}
		return now, false, then.err
	}
	who.pods("") // so that an error shows at once
	if who.err != nil {
		return v, errRights
	}
	who.omitted = slices.DeleteFunc(who.omitted, func(string) bool { return who.lists(podResource, "") })
	return v, nil
}

// stream serves what there is to see, as it changes.
func (s *Pages) stream(w http.ResponseWriter, r *http.Request) {
	who, err := s.liveViewer(r)
	if err != nil {
		serve.Error(w, http.StatusServiceUnavailable, "%v", err)
		return
	}
	s.board.Stream(w, r, who)
}

// now serves the first message of the stream alone.
func (s *Pages) now(w http.ResponseWriter, r *http.Request) {
	who, err := s.liveViewer(r)
	if err != nil {
		serve.Error(w, http.StatusServiceUnavailable, "%v", err)
		return
	}
	serve.JSON(w, http.StatusOK, s.board.Snapshot(r.Context(), who))
}

// tenuresView is who had a device in the last hour.
type tenuresView struct {
	Node    string        `json:"node"`
	Device  string        `json:"device"`
	Tenures []live.Tenure `json:"tenures"`
	omissions
}

func (s *Pages) tenures(r *http.Request, who *viewer) (view, error) {
	if err := who.need(nodeResource, ""); err != nil {
		return nil, err
	}
	node, device := param(r, "name"), param(r, "device")
	n := s.Inventory.Lookup([]string{node})[0]
	if n == nil {
		return nil, missing(fmt.Sprintf("there is no node %q: GET /nodes lists all", node))
	}
	return &tenuresView{Node: node, Device: device, Tenures: append([]live.Tenure{}, s.board.Tenures(node, device, who.pods)...)}, nil
}

func (v *tenuresView) text(p *page) {
	if len(v.Tenures) == 0 {
		p.line("nobody had it in the last hour, or since the extender started")
		return
	}
	var rows [][]string
	for _, t := range v.Tenures {
		to := "now"
		if t.To != nil {
			to = t.To.Format(time.TimeOnly)
		}
		pod := t.Namespace + "/" + t.Pod
		if t.Pod == "" {
			pod = hidden
		}
		rows = append(rows, []string{t.From.Format(time.TimeOnly), to, pod})
	}
	p.table([]string{"FROM", "TO", "POD"}, rows)
}
