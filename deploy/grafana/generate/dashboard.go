package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	tables "github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// path is the dashboard, below the repository's root, in which make generate runs this.
const path = "deploy/grafana/heteroaccel.json"

func main() {
	text, err := dashboardJSON()
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the dashboard could not be generated:", err)
		os.Exit(1)
	}
}

// dashboardJSON is the dashboard as Grafana reads it.
func dashboardJSON() ([]byte, error) {
	//lint:ignore SA1019 Grafana before 13 reads no other schema from a file
	b := dashboard.NewDashboardBuilder("HeteroAccel").Uid("heteroaccel").
		Description("Which accelerators are free, who has them, who waits, and how the programs are.").
		Tags([]string{"heteroaccel", "kubernetes"}).
		Time("now-3h", "now").Refresh("30s").Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus"))
	for _, v := range variables {
		b.WithVariable(v.build())
	}
	for _, r := range rows {
		b.WithRow(dashboard.NewRowBuilder(r.title))
		for i := range r.panels {
			b.WithPanel(r.panels[i].build())
		}
	}
	d, err := b.Build()
	if err != nil {
		return nil, err
	}
	for i := range d.Panels { // rows have ids too
		id := uint32(i + 1)
		if p := d.Panels[i].Panel; p != nil {
			p.Id = &id
		} else {
			d.Panels[i].RowPanel.Id = id
		}
	}
	text, err := json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

// variable is one by which what is shown is selected: all values of a label of a metric.
type variable struct{ name, metric, label string }

var variables = []variable{
	{"namespace", "heteroaccel_webhook_pods", "pod_namespace"},
	{"node", "heteroaccel_exporter_info", "node"},
	{"kind", "heteroaccel_webhook_run_seconds", "kind"},
	{"inference", "heteroaccel_webhook_run_seconds", "inference"},
}

func (v variable) build() cog.Builder[dashboard.VariableModel] {
	return dashboard.NewQueryVariableBuilder(v.name).
		Query(dashboard.StringOrMap{String: new("label_values(" + v.metric + ", " + v.label + ")")}).
		Datasource(source).Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{
			Selected: new(true), Text: dashboard.StringOrArrayOfString{String: new("All")}, Value: dashboard.StringOrArrayOfString{String: new("$__all")},
		}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc)
}

var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

// build is the panel as Grafana's kinds of panels have it.
func (p *panel) build() cog.Builder[dashboard.Panel] {
	switch p.show {
	case number:
		b := stat.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source).Unit(p.unit).Span(p.width).Height(4).
			Orientation(common.VizOrientationAuto).ColorMode(common.BigValueColorModeNone).GraphMode(common.BigValueGraphModeNone).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
		if p.none != "" {
			b.NoValue(p.none)
		}
		for i, q := range p.queries {
			b.WithTarget(q.build(i).Instant())
		}
		return b
	case table:
		b := tables.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source).Unit(p.unit).Span(p.width).Height(8).NoValue(p.none).
			Footer(common.NewTableFooterOptionsBuilder().Reducer([]string{})).
			WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
			WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
				"excludeByName": map[string]any{"Time": true},
				"renameByName":  map[string]any{"exported_namespace": "namespace", "exported_pod": "pod"},
			}})
		for i, q := range p.queries {
			b.WithTarget(q.build(i).Instant().Format(prometheus.PromQueryFormatTable))
		}
		return b
	}
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source).Unit(p.unit).Span(p.width).Height(8).NoValue(p.none).
		Min(0).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if p.show == stack {
		b.FillOpacity(30).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	for i, q := range p.queries {
		b.WithTarget(q.build(i).Range())
	}
	return b
}

// build is the query of a panel that is its i-th.
func (q query) build(i int) *prometheus.DataqueryBuilder {
	b := prometheus.NewDataqueryBuilder().Expr(q.expr).RefId(string(rune('A' + i))).Datasource(source).EditorMode(prometheus.QueryEditorModeCode)
	if q.legend != "" {
		b.LegendFormat(q.legend)
	}
	return b
}
