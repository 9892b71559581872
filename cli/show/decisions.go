package show

import (
	"fmt"
	"slices"
	"strings"

	"heteroaccel.io/cli/pages"
)

// DecisionsOf are the decisions on pods of a namespace, "" for all.
func DecisionsOf(all pages.Decisions, namespace string) pages.Decisions {
	if namespace != "" {
		all.Decisions = slices.DeleteFunc(slices.Clone(all.Decisions), func(d pages.Decision) bool { return d.Namespace != namespace })
	}
	return all
}

// Decisions is a table of them, the newest last.
func Decisions(d pages.Decisions, wide bool) string {
	if len(d.Decisions) == 0 {
		return "no decisions are remembered: the webhook keeps them in memory alone, since it started\n"
	}
	head := []string{"AGE", "WHAT", "NAMESPACE", "NAME", "OWNER", "INFERENCE", "KIND", "REASON"}
	if wide {
		head = []string{"TIME", "WHAT", "NAMESPACE", "NAME", "OWNER", "INFERENCE", "KIND", "RESERVATION", "TOOK", "REFUSED", "REASON"}
	}
	var rows [][]string
	for _, e := range d.Decisions {
		kind := string(e.Kind)
		if e.From != "" {
			kind = fmt.Sprintf("%s to %s", e.From, e.Kind)
		}
		row := []string{age(e.AgeSeconds), string(e.What), e.Namespace, e.Name(), e.Owner, e.Inference, kind}
		if wide {
			row[0] = e.Time.UTC().Format("2006-01-02T15:04:05.000Z")
			row = append(row, e.Reservation, took(e.Micros), refused(e), e.Reason)
		} else {
			row = append(row, e.Reason)
		}
		rows = append(rows, row)
	}
	return table(head, rows)
}

func took(micros int64) string {
	if micros == 0 {
		return ""
	}
	return fmt.Sprintf("%dµs", micros)
}

func refused(e pages.Decision) string {
	var kinds []string
	for _, r := range e.Refused {
		kinds = append(kinds, fmt.Sprintf("%s: %s", r.Kind, r.Why))
	}
	return strings.Join(kinds, "; ")
}
