package explain

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// page is a text for a terminal, as kubectl prints it: columns are aligned, and
// the terminal wraps long sentences. Values are cleaned: much of them comes from
// annotations and from names of processes, and could otherwise move the cursor.
type page struct{ b strings.Builder }

func (p *page) String() string { return p.b.String() }

// line writes a line of our own words.
func (p *page) line(s string) { p.b.WriteString(s + "\n") }

// field writes a name and its value.
func (p *page) field(indent int, name, value string) {
	p.line(fmt.Sprintf("%*s%-13s%s", indent, "", name, clean(value)))
}

// table writes rows of cells under a head.
func (p *page) table(head []string, rows [][]string) {
	w := tabwriter.NewWriter(&p.b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join(head, "\t")) // a strings.Builder takes everything
	for _, row := range rows {
		for i, cell := range row {
			if row[i] = clean(cell); row[i] == "" {
				row[i] = "-"
			}
		}
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
}

// clean makes one printable line of s.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return ' '
	}, s)
}
