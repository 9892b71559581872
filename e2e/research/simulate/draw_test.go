package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"
)

func TestChart(t *testing.T) {
	rising := plotter.XYs{{X: 0, Y: 1}, {X: 1, Y: 10}, {X: 2, Y: 100}}
	for name, tt := range map[string]struct {
		c     chart
		named []string
	}{
		"linear": {
			chart{title: "a < b & c", lines: []line{{name: "one", points: rising}, {name: "bound", points: rising, reference: true}}},
			[]string{"one", "bound"},
		},
		"logarithmic":        {chart{logarithmic: true, lines: []line{{name: "one", points: rising}}}, []string{"one"}},
		"nothing":            {chart{}, nil},
		"nothing, log":       {chart{logarithmic: true, lines: []line{{name: "one"}}}, nil},
		"one point":          {chart{lines: []line{{name: "one", points: rising[:1]}}}, []string{"one"}},
		"one point, log":     {chart{logarithmic: true, lines: []line{{name: "one", points: rising[:1]}}}, []string{"one"}},
		"level, log":         {chart{logarithmic: true, lines: []line{{name: "one", points: plotter.XYs{{X: 0, Y: 3}, {X: 1, Y: 3}}}}}, []string{"one"}},
		"no numbers, log":    {chart{logarithmic: true, lines: []line{{name: "one", points: plotter.XYs{{X: 0, Y: math.NaN()}, {X: 1, Y: math.Inf(1)}, {X: 2}}}}}, nil},
		"some numbers, log":  {chart{logarithmic: true, lines: []line{{name: "one", points: plotter.XYs{{X: 0, Y: -3}, {X: 1, Y: 3}, {X: 2, Y: 4}}}}}, []string{"one"}},
		"no numbers, linear": {chart{lines: []line{{name: "one", points: plotter.XYs{{X: 0, Y: math.NaN()}}}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tt.c.write(dir, "chart"); err != nil {
				t.Fatal(err)
			}
			svg, err := os.ReadFile(filepath.Join(dir, "chart.svg"))
			if err != nil {
				t.Fatal(err)
			}
			if text := string(svg); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
				t.Errorf("not numbers:\n%s", text)
			}
			words := texts(t, string(svg))
			for _, want := range append(tt.named, tt.c.title) {
				if want != "" && !words[want] {
					t.Errorf("no text %q in it: %v", want, words)
				}
			}
			if len(tt.named) == 0 && words["one"] {
				t.Error("it names a line that has no points")
			}
		})
	}
}

// texts are what is written in an SVG document, which must be well-formed.
func texts(t *testing.T, svg string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			found[strings.TrimSpace(string(text))] = true
		}
	}
}
