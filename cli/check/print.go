package check

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// Text writes a line for each check, what fixes it below it, and a summary.
func Text(w io.Writer, lines []Line) error {
	counts := map[Result]int{}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		counts[l.Result]++
		fmt.Fprintf(t, "%s\t%s\t%s\n", l.Result, l.Check, l.Message)
		if l.Fix != "" {
			fmt.Fprintf(t, "\t\t$ %s\n", l.Fix)
		}
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	_, err := fmt.Fprintf(w, "\n%d OK, %d wrong, %d not checked\n", counts[OK], counts[Wrong], counts[NotChecked])
	return err
}

// JSON writes the lines, and whether none is wrong.
func JSON(w io.Writer, lines []Line) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		OK    bool   `json:"ok"`
		Lines []Line `json:"lines"`
	}{!Failed(lines), lines})
}
