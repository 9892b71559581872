package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestSVG(t *testing.T) {
	line := []Point{{0, 1}, {1, 10}, {2, 100}}
	tests := map[string]struct {
		c     Chart
		lines int
	}{
		"linear":        {Chart{Title: "a < b & c", Series: []Series{{Name: "one", Points: line}, {Name: "bound", Dashed: true, Points: line}}}, 2},
		"logarithmic":   {Chart{Log: true, Series: []Series{{Points: line}}}, 1},
		"nothing":       {Chart{}, 0},
		"one point":     {Chart{Series: []Series{{Points: line[:1]}}}, 1},
		"one point log": {Chart{Log: true, Series: []Series{{Points: line[:1]}}}, 1},
		"no numbers":    {Chart{Log: true, Series: []Series{{Points: []Point{{0, math.NaN()}, {1, math.Inf(1)}, {2, 0}, {3, -1}}}}}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			svg := tt.c.SVG()
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Errorf("not numbers:\n%s", svg)
			}
			lines := 0
			for d := xml.NewDecoder(strings.NewReader(svg)); ; {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
					lines++
				}
			}
			if lines != tt.lines {
				t.Errorf("%d lines, want %d", lines, tt.lines)
			}
		})
	}
}

func TestTicks(t *testing.T) {
	for name, a := range map[string]axis{"units": {0, 1.2, false}, "big": {0, 98765, false}, "log": {3, 4000, true}} {
		ticks := a.ticks()
		if len(ticks) < 3 || len(ticks) > 12 {
			t.Errorf("%s: %v", name, ticks)
		}
		for _, v := range ticks {
			if at := a.at(v); at < -1e-9 || at > 1+1e-6 {
				t.Errorf("%s: %v lies outside", name, v)
			}
		}
	}
}
