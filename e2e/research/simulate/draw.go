package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// width and height are those of a chart.
const width, height = 20 * vg.Centimeter, 12 * vg.Centimeter

// colours tell the lines apart, also for those who cannot tell red from green.
var colours = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff},
}

// line is one policy's values.
type line struct {
	name   string
	points plotter.XYs
	// reference is for what was computed and not measured.
	reference bool
}

// chart is one picture, with a line for each policy.
type chart struct {
	title, x, y string
	// logarithmic is about the Y axis: what is not positive is left out then.
	logarithmic bool
	lines       []line
}

// write draws the chart as dir/name.svg.
func (c chart) write(dir, name string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title, c.x, c.y
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	p.Y.AutoRescale = true
	if !c.logarithmic {
		p.Y.Min = 0
	}
	drawn := 0
	for i, l := range c.lines {
		points := slices.DeleteFunc(slices.Clone(l.points), func(v plotter.XY) bool {
			return math.IsNaN(v.Y) || math.IsInf(v.Y, 0) || c.logarithmic && v.Y <= 0
		})
		if len(points) == 0 {
			continue
		}
		drawn++
		path, err := plotter.NewLine(points)
		if err != nil {
			return fmt.Errorf("draw %s of %s: %w", l.name, name, err)
		}
		path.Width, path.Color = vg.Points(1.5), colours[i%len(colours)]
		if l.reference {
			path.Color, path.Dashes = color.Black, []vg.Length{vg.Points(6), vg.Points(4)}
		}
		p.Add(path)
		p.Legend.Add(l.name, path)
		if len(points) == 1 { // a line of one point cannot be seen
			dot, err := plotter.NewScatter(points)
			if err != nil {
				return fmt.Errorf("draw %s of %s: %w", l.name, name, err)
			}
			dot.Color, dot.Radius, dot.Shape = path.Color, vg.Points(4), draw.CircleGlyph{}
			p.Add(dot)
		}
	}
	if c.logarithmic && drawn > 0 {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		if p.Y.Min == p.Y.Max { // the library would widen it to below 0
			p.Y.Min, p.Y.Max = p.Y.Min/2, p.Y.Max*2
		}
	}
	if err := p.Save(width, height, filepath.Join(dir, name+".svg")); err != nil {
		return fmt.Errorf("write the chart %s: %w", name, err)
	}
	return nil
}

// chartsOf draws throughput and tail latency against load.
func chartsOf(dir, name string, rounds []round) error {
	const load = "arrivals, in parts of the bound"
	throughput := chart{title: name + ": throughput", x: load, y: "completions, in parts of the bound"}
	tail := chart{title: name + ": 99th percentile of latency", x: load, y: "seconds", logarithmic: true}
	reached := line{name: "bound", reference: true}
	for i, p := range contestants {
		a, b := line{name: p.name}, line{name: p.name}
		for _, r := range rounds {
			if r.name != p.name {
				continue
			}
			unit := r.Offered / r.Load
			a.points = append(a.points, plotter.XY{X: r.Load, Y: r.Throughput / unit})
			b.points = append(b.points, plotter.XY{X: r.Load, Y: r.P99.Seconds()})
			if i == 0 {
				reached.points = append(reached.points, plotter.XY{X: r.Load, Y: min(1, r.Load)})
			}
		}
		throughput.lines, tail.lines = append(throughput.lines, a), append(tail.lines, b)
	}
	throughput.lines = append(throughput.lines, reached)
	if err := throughput.write(dir, name+"-throughput"); err != nil {
		return err
	}
	return tail.write(dir, name+"-p99")
}
