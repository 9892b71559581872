package explain

import (
	"fmt"
	"net/http"

	"heteroaccel.io/extender/bypass"
	"heteroaccel.io/pkg/kube"
)

// index is what / shows: all endpoints, and what is wrong.
type index struct {
	Endpoints []Endpoint `json:"endpoints"`
	// Bypassed are the resources that a scheduler does not ask about.
	Bypassed []bypass.Report `json:"bypassed,omitempty"`
	// ReadmissionSuspended is set while the recreation of pending pods is
	// suspended.
	ReadmissionSuspended bool `json:"readmissionSuspended,omitempty"`
	omissions
}

func (s *Pages) index(_ *http.Request, who *viewer) (view, error) {
	return &index{Endpoints: s.endpoints(), Bypassed: who.bypassed(s.Bypassed()), ReadmissionSuspended: s.Suspended()}, nil
}

// suspended says that the recreation of pending pods is.
const suspended = "pending pods are not recreated for idle accelerators while ConfigMap " + kube.SwitchName + " in the webhook's namespace suspends it; delete it to resume"

// NotFound answers a path that does not exist with those that do.
func (s *Pages) NotFound(w http.ResponseWriter, r *http.Request) {
	fail(w, r, http.StatusNotFound, fmt.Sprintf("there is nothing at %s: these are the endpoints", r.URL.Path), &index{Endpoints: s.endpoints()})
}

func (i *index) text(p *page) {
	var rows [][]string
	for _, e := range i.Endpoints {
		rows = append(rows, []string{e.Method, e.Path, e.Shows})
	}
	p.table([]string{"METHOD", "PATH", "SHOWS"}, rows)
	p.line("")
	p.line("For JSON, add ?format=json or the header Accept: application/json.")
	p.bypassed(i.Bypassed)
	if i.ReadmissionSuspended {
		p.line("")
		p.field(0, "SUSPENDED", suspended)
	}
}

// bypassed warns of resources that a scheduler does not ask about.
func (p *page) bypassed(reports []bypass.Report) {
	for _, u := range reports {
		p.line("")
		p.field(0, "WARNING", u.Message)
	}
}
