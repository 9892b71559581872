package watch

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// Control sequences of terminals (ECMA-48): the cursor to the top, and what is right of
// it, or below it, erased. A screen that is not erased first does not flicker.
const (
	home      = "\x1b[H"
	eraseLine = "\x1b[K"
	eraseRest = "\x1b[J"
)

// screen is a frame in place of what a terminal shows, cut to its size. What goes wrong
// and the note stand below it, and are never cut off.
func screen(f Frame, trouble string, columns, lines int) []byte {
	var below []string
	for _, s := range []string{f.Note, trouble} {
		if s != "" {
			below = append(below, wrap(s, columns)...)
		}
	}
	body := strings.Split(strings.TrimRight(string(f.Body), "\n"), "\n")
	// The cursor stands on the last line, which stays empty.
	if room := max(1, lines-1-len(below)); len(body) > room {
		more := len(body) - room + 1
		body = append(body[:room-1:room-1], fmt.Sprintf("and %d lines more: the terminal is too small", more))
	}
	var b bytes.Buffer
	b.WriteString(home)
	for _, line := range append(body, below...) {
		if runes := []rune(line); columns > 0 && len(runes) > columns {
			line = string(runes[:columns-1]) + "…"
		}
		b.WriteString(line + eraseLine + "\r\n")
	}
	b.WriteString(eraseRest)
	return b.Bytes()
}

// wrap cuts a sentence into lines.
func wrap(s string, columns int) (lines []string) {
	runes := []rune(s)
	for columns > 0 && len(runes) > columns {
		lines, runes = append(lines, string(runes[:columns])), runes[columns:]
	}
	return append(lines, string(runes))
}

// restless is what changes while nothing happens: ages, loads, the cores that a load
// leaves, and fields of these; and the width of columns.
var restless = regexp.MustCompile(`"?(ageSeconds|oldestSeconds|load|freeCores|idle|time)"?: [^,\n]*|[0-9.]+ free|load [0-9]+%|[0-9]+%|[0-9]+\.[0-9]+|\b[0-9]+(ms|[smhdy])([0-9]+[smhd])*\b| +`)

// settle is what there is of a text but for that.
func settle(text []byte) []byte { return restless.ReplaceAll(text, []byte(" ")) }
