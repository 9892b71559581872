package explain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// columns is the width of the terminal that pages are made for.
const columns = 80

// narrowest is what a last column gets, even where that goes beyond columns.
const narrowest = 12

// page is a text for a terminal. Whatever is written to it is cleaned: much of
// it comes from annotations and from names of processes, and could otherwise
// move the cursor.
type page struct{ b strings.Builder }

func (p *page) String() string { return p.b.String() }

func (p *page) line(s string) {
	p.b.WriteString(strings.TrimRight(s, " "))
	p.b.WriteByte('\n')
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

// field writes a name and what it is, wrapped under itself.
func (p *page) field(indent int, name, value string) {
	const names = 13
	start := indent + names
	for i, line := range wrap(clean(value), columns-start) {
		if i > 0 {
			name = ""
		}
		p.line(strings.Repeat(" ", indent) + pad(name, names) + line)
	}
}

// table is rows under a head. The last column takes what room there is; what
// does not fit is wrapped, or cut off.
type table struct {
	head []string
	rows [][]string
	cut  bool
}

func (t *table) add(cells ...string) {
	for i, c := range cells {
		if cells[i] = clean(c); cells[i] == "" {
			cells[i] = "-"
		}
	}
	t.rows = append(t.rows, cells)
}

func (p *page) table(t *table) {
	last := len(t.head) - 1
	widths := make([]int, last)
	start := 0
	for i := range widths {
		widths[i] = utf8.RuneCountInString(t.head[i])
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		start += widths[i] + 2
	}
	room := max(narrowest, columns-start)
	p.row(t.head[:last], widths, t.head[last])
	for _, row := range t.rows {
		if t.cut {
			p.row(row[:last], widths, shorten(row[last], room))
			continue
		}
		for i, line := range wrap(row[last], room) {
			if i == 0 {
				p.row(row[:last], widths, line)
			} else {
				p.line(strings.Repeat(" ", start) + line)
			}
		}
	}
}

func (p *page) row(cells []string, widths []int, last string) {
	var b strings.Builder
	for i, c := range cells {
		b.WriteString(pad(c, widths[i]+2))
	}
	b.WriteString(last)
	p.line(b.String())
}

// pad fills s up to a width.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// shorten cuts s down to a width, with an ellipsis where it did.
func shorten(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:width-1]), " ") + "…"
}

// wrap breaks s into lines of at most width, between words where it can; there
// is always one line.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
