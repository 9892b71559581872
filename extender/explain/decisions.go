package explain

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"heteroaccel.io/pkg/journal"
)

const (
	// fewDecisions is how many decisions are shown as text, and manyDecisions as JSON,
	// unless ?limit says otherwise.
	fewDecisions, manyDecisions = 50, 1000
)

// decisionsView is what /decisions shows.
type decisionsView struct {
	// Decisions are the last ones, the newest last.
	Decisions []decisionView `json:"decisions"`
	// Missing are sentences on what is not known: replicas of the webhook that cannot be
	// asked.
	Missing []string `json:"missing,omitempty"`
	omissions
}

// decisionView is one decision.
type decisionView struct {
	journal.Entry
	AgeSeconds float64 `json:"ageSeconds"`
}

func (s *Pages) decisions(r *http.Request, who *viewer) (view, error) {
	limit := fewDecisions
	if asJSON, err := wantsJSON(r); err == nil && asJSON {
		limit = manyDecisions
	}
	if said := r.URL.Query().Get("limit"); said != "" {
		n, err := strconv.Atoi(said)
		if err != nil || n < 1 {
			return nil, invalid(fmt.Sprintf("limit=%s: give how many decisions to show, a number above 0", said))
		}
		limit = n
	}
	v := &decisionsView{Decisions: []decisionView{}, Missing: s.Missing()}
	entries, _, _ := s.Decisions.Since(0)
	// They are of several replicas, in the order in which they were read.
	slices.SortStableFunc(entries, func(a, b journal.Entry) int { return a.Time.Compare(b.Time) })
	now := s.Inventory.Now()
	for _, e := range slices.Backward(entries) {
		if len(v.Decisions) == limit {
			break
		}
		if who.pods(e.Namespace) {
			v.Decisions = append(v.Decisions, decisionView{e, max(0, now.Sub(e.Time).Seconds())})
		}
	}
	slices.Reverse(v.Decisions)
	return v, nil
}

func (v *decisionsView) text(p *page) {
	switch {
	case len(v.Decisions) > 0:
		var rows [][]string
		for _, d := range v.Decisions {
			kind := string(d.Kind)
			if d.From != "" {
				kind = fmt.Sprintf("%s to %s", d.From, d.Kind)
			}
			rows = append(rows, []string{ago(d.AgeSeconds), string(d.What), d.Namespace, d.Name(), cmp.Or(d.Owner, "-"), d.Inference, kind, d.Reason})
		}
		p.table([]string{"AGE", "WHAT", "NAMESPACE", "NAME", "OWNER", "INFERENCE", "KIND", "REASON"}, rows)
	case v.NotShown != "":
		p.line("there are no decisions on pods that you may list")
	case len(v.Missing) == 0:
		p.line("the webhook has decided nothing since it started: what it decides is kept in memory alone")
	}
	for _, m := range v.Missing {
		p.line("")
		p.field(0, "MISSING", m)
	}
}
