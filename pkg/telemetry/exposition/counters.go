package exposition

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
)

// maxLine bounds one line of a page, in bytes: a metric's name and labels.
const maxLine = 64 << 10

// Counters reads from a page in the text format the sums of two counters, such as the
// _sum and the _count of a histogram, over the series that have all of the labels. found
// is false where the page has no such series of one of them.
//
// Of the page, which a pod wrote, no more is kept than the lines of the two.
func Counters(page io.Reader, first, second string, labels map[string]string) (a, b float64, found bool, err error) {
	var lines bytes.Buffer
	scanner := bufio.NewScanner(page)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		if line := scanner.Bytes(); isOf(line, first) || isOf(line, second) {
			lines.Write(line)
			lines.WriteByte('\n')
		}
	}
	if err := scanner.Err(); err != nil {
		return 0, 0, false, fmt.Errorf("read the text format: %w", err)
	}
	series, err := Parse(&lines)
	if err != nil {
		return 0, 0, false, err
	}
	var hasFirst, hasSecond bool
	for _, s := range series {
		if !hasAll(s.Labels, labels) {
			continue
		}
		if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) || s.Value < 0 {
			return 0, 0, false, fmt.Errorf("%s is %v, which is no counter", s.Name, s.Value)
		}
		switch s.Name {
		case first:
			a, hasFirst = a+s.Value, true
		case second:
			b, hasSecond = b+s.Value, true
		}
	}
	return a, b, hasFirst && hasSecond, nil
}

// isOf reports whether a line is of a metric.
func isOf(line []byte, name string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(name))
	return ok && len(rest) > 0 && (rest[0] == '{' || rest[0] == ' ' || rest[0] == '\t')
}

func hasAll(have, want map[string]string) bool {
	for name, value := range want {
		if got, ok := have[name]; !ok || got != value {
			return false
		}
	}
	return true
}
