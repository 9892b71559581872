package monitor

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// DefaultSelector is for the labels that deploy/prometheus, and a ServiceMonitor,
// give the exporters' series.
const DefaultSelector = `job="heteroaccel-exporter",namespace="heteroaccel-exporter"`

var (
	errOfName   = errors.New("the metrics are chosen already, so leave out __name__")
	errUnquoted = errors.New("a value stands in double quotes")
	labelAndOp  = regexp.MustCompile(`^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*`)
)

// parseSelector reads label matchers as PromQL has them, without the braces, and
// returns them in a canonical form. One of them at least must demand a value: all
// series of a shared Prometheus are nobody's.
func parseSelector(s string) (string, error) {
	matchers, err := readMatchers(s)
	if err != nil {
		return "", fmt.Errorf("%q does not say which series are the exporters': %w; write matchers such as %s", s, err, DefaultSelector)
	}
	return strings.Join(matchers, ","), nil
}

func readMatchers(s string) ([]string, error) {
	var matchers []string
	demands := false
	for rest := s; ; {
		m := labelAndOp.FindStringSubmatch(rest)
		if m == nil {
			return nil, errors.New("a matcher is a label, one of = != =~ !~, and a value")
		}
		label, op := m[1], m[2]
		quoted, err := strconv.QuotedPrefix(rest[len(m[0]):])
		if err != nil || quoted[0] != '"' {
			return nil, errUnquoted
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, errUnquoted
		}
		if label == "__name__" {
			return nil, errOfName
		}
		if strings.HasSuffix(op, "~") {
			if _, err := regexp.Compile(value); err != nil {
				return nil, fmt.Errorf("label %s: %w", label, err)
			}
		}
		demands = demands || op == "=" && value != ""
		matchers = append(matchers, label+op+strconv.Quote(value))
		rest = strings.TrimSpace(rest[len(m[0])+len(quoted):])
		if rest == "" {
			break
		}
		after, found := strings.CutPrefix(rest, ",")
		if !found {
			return nil, errors.New("a comma stands between two matchers")
		}
		rest = after
	}
	if !demands {
		return nil, errors.New("no matcher demands a value with =")
	}
	return matchers, nil
}
