package stack

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Metrics reads a page of metrics: the values by name, labels included as the page
// has them.
func Metrics(ctx context.Context, url string) (map[string]float64, error) {
	text, err := Get(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	return ParseMetrics(text)
}

// ParseMetrics reads the text of such a page.
func ParseMetrics(text string) (map[string]float64, error) {
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		space := strings.LastIndexByte(line, ' ') // labels may have more of them
		if space < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read the metric %q: %w", line, err)
		}
		values[line[:space]] = v
	}
	return values, nil
}
