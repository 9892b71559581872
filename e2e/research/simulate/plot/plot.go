// Package plot draws lines over a common axis as SVG.
//
// Named series of points enter, an SVG document leaves. It knows nothing of
// what the numbers mean, and reads and writes no files.
package plot

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// Chart is one picture.
type Chart struct {
	Title, X, Y string
	// Log makes the Y axis logarithmic; values that are not positive are left
	// out then.
	Log    bool
	Series []Series
}

// Series is one line, through its points in their order.
type Series struct {
	Name string
	// Dashed is for a line that is a reference and not a measurement.
	Dashed bool
	Points []Point
}

// Point is one value.
type Point struct{ X, Y float64 }

const (
	width, height            = 760, 460
	left, right, top, bottom = 80, 190, 48, 56
)

// colours tell the series apart, also for those who cannot tell red from green.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"}

// SVG draws the chart.
func (c Chart) SVG() string {
	x, y := c.ranges()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	text(&b, left, 26, "start", `font-size="15"`, c.Title)
	text(&b, (left+width-right)/2, height-14, "middle", "", c.X)
	text(&b, 0, 0, "middle", fmt.Sprintf(`transform="translate(18 %d) rotate(-90)"`, (top+height-bottom)/2), c.Y)
	for _, v := range x.ticks() {
		at := left + x.at(v)*(width-left-right)
		fmt.Fprintf(&b, `<path d="M%.1f %d V%d" stroke="#ddd"/>`+"\n", at, top, height-bottom)
		text(&b, at, height-bottom+18, "middle", "", label(v))
	}
	for _, v := range y.ticks() {
		at := height - bottom - y.at(v)*(height-top-bottom)
		fmt.Fprintf(&b, `<path d="M%d %.1f H%d" stroke="#ddd"/>`+"\n", left, at, width-right)
		text(&b, left-8, at+4, "end", "", label(v))
	}
	for i, s := range c.Series {
		colour := colours[i%len(colours)]
		dash := ""
		if s.Dashed {
			colour, dash = "black", ` stroke-dasharray="6 4"`
		}
		var points []string
		for _, p := range s.Points {
			if finite(p.X) && finite(p.Y) && (!c.Log || p.Y > 0) {
				px, py := left+x.at(p.X)*(width-left-right), height-bottom-y.at(p.Y)*(height-top-bottom)
				points = append(points, fmt.Sprintf("%.1f,%.1f", px, py))
			}
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", strings.Join(points, " "), colour, dash)
		ly := top + 10 + 20*i
		fmt.Fprintf(&b, `<path d="M%d %d h24" stroke="%s" stroke-width="2"%s/>`+"\n", width-right+14, ly, colour, dash)
		text(&b, width-right+44, float64(ly+4), "start", "", s.Name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func text(b *strings.Builder, x, y float64, anchor, more, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, more, html.EscapeString(s))
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func label(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// axis maps values to 0 to 1.
type axis struct {
	lo, hi float64
	log    bool
}

func (c Chart) ranges() (x, y axis) {
	x, y = axis{math.Inf(1), math.Inf(-1), false}, axis{math.Inf(1), math.Inf(-1), c.Log}
	for _, s := range c.Series {
		for _, p := range s.Points {
			if finite(p.X) && finite(p.Y) && (!c.Log || p.Y > 0) {
				x.lo, x.hi = min(x.lo, p.X), max(x.hi, p.X)
				y.lo, y.hi = min(y.lo, p.Y), max(y.hi, p.Y)
			}
		}
	}
	if !c.Log {
		y.lo = min(0, y.lo)
	}
	return x.sane(), y.sane()
}

// sane gives an axis an extent.
func (a axis) sane() axis {
	switch {
	case a.lo > a.hi:
		a.lo, a.hi = 1, 2
	case a.lo == a.hi && a.log:
		a.lo, a.hi = a.lo/2, a.hi*2
	case a.lo == a.hi:
		a.hi = a.lo + 1
	}
	return a
}

func (a axis) at(v float64) float64 {
	if a.log {
		return (math.Log(v) - math.Log(a.lo)) / (math.Log(a.hi) - math.Log(a.lo))
	}
	return (v - a.lo) / (a.hi - a.lo)
}

// ticks are round values on the axis: 1, 2 and 5 times powers of ten.
func (a axis) ticks() []float64 {
	var ticks []float64
	if a.log {
		for e := math.Floor(math.Log10(a.lo)); e <= math.Log10(a.hi); e++ {
			for _, m := range []float64{1, 2, 5} {
				if v := m * math.Pow(10, e); v >= a.lo && v <= a.hi {
					ticks = append(ticks, v)
				}
			}
		}
		return ticks
	}
	step := math.Pow(10, math.Floor(math.Log10(a.hi-a.lo)))
	for _, m := range []float64{.1, .2, .5, 1} {
		if (a.hi-a.lo)/(step*m) <= 8 {
			step *= m
			break
		}
	}
	for i := math.Ceil(a.lo / step); i*step <= a.hi*(1+1e-9); i++ {
		ticks = append(ticks, i*step)
	}
	return ticks
}
