package telemetry

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/accel"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// node is a scrape with one of everything.
func node() Scrape {
	return Scrape{
		Node: "g", Time: noon, CPUCores: 8, CPUBusy: 1.25,
		Devices: []accel.Device{
			{Kind: "FPGA", ID: "0000:3b:00.0", Resource: "fpga.intel.com/arria10", Vendor: "Intel", Driver: "dfl-pci",
				Health: accel.Healthy, Slots: 1, Allocated: -1},
			{Kind: "GPU", ID: "0000:00:02.0", Resource: "gpu.intel.com/i915", Vendor: "Intel", Model: "Iris Xe", Driver: "i915",
				PluginID: "card0", NUMA: new(0), Busy: new(0.25), BusySeconds: new(1e6),
				Health: accel.Healthy, Slots: 4, Allocated: 3, ExternalUse: "blender",
				Holders: []accel.Holder{
					{Namespace: "default", Pod: "face-1", Container: "a", Slots: 1},
					{Namespace: "default", Pod: "face-1", Container: "b", Slots: 1, Claim: "one"},
					{Namespace: "default", Pod: "face-1", Container: "b", Slots: 1, Claim: "two"},
				}},
			{Kind: "NPU", ID: "0000:19:00.0", Health: accel.HealthUnknown, Reason: "its driver resets it", Slots: 1},
			{Kind: "NPU", ID: "1-2", Health: accel.Unhealthy, Reason: "no driver is bound to it", Slots: 1},
			{Kind: "NPU", ID: "rknn", Health: accel.Unhealthy, Slots: 1},
		},
		Collectors: []Collector{{"gpu", true, 0.001}, {"podresources", false, 2}},
	}
}

func TestDecodeIsInverseOfEncode(t *testing.T) {
	for name, want := range map[string]Scrape{
		"one of everything": node(),
		"nothing":           {Node: "bare", Time: noon},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(Encode(want), noon)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeInAnyOrderWithUnknownMetrics(t *testing.T) {
	series := Encode(node())
	slices.Reverse(series)
	series = append(series, Series{Name: "go_goroutines", Value: math.NaN()},
		Series{Name: "heteroaccel_device_temperature_celsius", Value: -3})
	got, err := Decode(series, noon)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(node(), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A label that a scrape by Prometheus would rename is no other name of ours: any
// page can have it.
func TestDecodeIgnoresRenamedLabels(t *testing.T) {
	series := Encode(node())
	for i := range series {
		for _, name := range []string{labelNode, labelKind, labelID, labelPod, labelHealth} {
			series[i].Labels["exported_"+name] = "other"
		}
	}
	got, err := Decode(series, noon)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(node(), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// change returns the series of node() with the first of a name replaced by f's
// result.
func change(name string, f func(Series) []Series) []Series {
	var out []Series
	done := false
	for _, s := range Encode(node()) {
		if s.Name == name && !done {
			done = true
			s.Labels = maps.Clone(s.Labels)
			out = append(out, f(s)...)
			continue
		}
		out = append(out, s)
	}
	return out
}

func set(value float64) func(Series) []Series {
	return func(s Series) []Series { s.Value = value; return []Series{s} }
}

func relabel(name, value string) func(Series) []Series {
	return func(s Series) []Series { s.Labels[name] = value; return []Series{s} }
}

func twice(s Series) []Series { return []Series{s, s} }
func none(Series) []Series    { return nil }

func TestDecodeRejects(t *testing.T) {
	for name, tc := range map[string]struct {
		metric string
		change func(Series) []Series
		want   string
	}{
		"NaN":                    {deviceAllocated, set(math.NaN()), "of 0 or more"},
		"infinite":               {deviceSlots, set(math.Inf(1)), "of 0 or more"},
		"negative":               {cpuBusy, set(-1), "of 0 or more"},
		"no node":                {deviceHealthy, relabel("node", ""), "label node is missing"},
		"another node":           {deviceHealthy, relabel("node", "f"), `others of the same scrape are of "g"`},
		"no id":                  {deviceHealthy, relabel("id", ""), "label id is missing"},
		"no kind":                {deviceHealthy, relabel("kind", ""), "label kind is missing"},
		"kind is no kind":        {deviceHealthy, relabel("kind", "{}"), "is not an accelerator kind"},
		"no namespace":           {deviceHolder, relabel("namespace", ""), "label namespace is missing"},
		"no pod":                 {deviceHolder, relabel("pod", ""), "label pod is missing"},
		"no container":           {deviceHolder, relabel("container", ""), "label container is missing"},
		"no command":             {deviceExternalUse, relabel("command", ""), "label command is missing"},
		"NUMA node is no number": {deviceInfo, relabel("numa_node", "-1"), "label numa_node"},
		"busier than always":     {deviceBusy, set(1.5), "from 0 to 1"},
		"busy twice":             {deviceBusy, twice, "occurs twice"},
		"busy seconds twice":     {deviceBusySeconds, twice, "occurs twice"},
		"busy seconds backwards": {deviceBusySeconds, set(-1), "of 0 or more"},
		"no collector":           {collectorSuccess, relabel("collector", ""), "label collector is missing"},
		"half healthy":           {deviceHealthy, set(0.5), "must be 0 or 1"},
		"half a slot":            {deviceSlots, set(1.5), "whole number"},
		"no slots":               {deviceSlots, set(0), "whole number from 1"},
		"too many slots":         {deviceSlots, set(1e18), "whole number"},
		"info that is not 1":     {deviceInfo, set(0), "must be 1"},
		"info twice":             {deviceInfo, twice, "twice"},
		"healthy twice":          {deviceHealthy, twice, "twice"},
		"slots twice":            {deviceSlots, twice, "twice"},
		"allocated twice":        {deviceAllocated, twice, "twice"},
		"holder twice":           {deviceHolder, twice, "twice"},
		"external use twice":     {deviceExternalUse, twice, "twice"},
		"collector twice":        {collectorSuccess, twice, "twice"},
		"cores twice":            {cpuCores, twice, "twice"},
		"no health":              {deviceHealthy, none, "heteroaccel_device_healthy is missing"},
		"unknown health unsaid":  {deviceHealthInfo, none, "heteroaccel_device_healthy is missing"},
		"health that is none":    {deviceHealthInfo, relabel("health", "well"), "label health"},
		"health info is not 1":   {deviceHealthInfo, set(0), "must be 1"},
		"health info twice":      {deviceHealthInfo, twice, "twice"},
		"half a health":          {deviceHealthInfo, relabel("health", "unhealthy"), "heteroaccel_device_healthy is missing"},
		"no slots metric":        {deviceSlots, none, "heteroaccel_device_slots is missing"},
		"no device info":         {deviceInfo, none, "heteroaccel_device_info is missing"},
		"no exporter info":       {exporterInfo, none, "heteroaccel_exporter_info is missing"},
		"cores without busy":     {cpuBusy, none, "must occur together"},
		"busy beyond cores":      {cpuBusy, set(9), "9 of 8 cores"},
		"no cores":               {cpuCores, set(0), "more than 0 cores"},
		"held but not counted":   {deviceAllocated, none, "containers hold 3 slots"},
		"held more than counts":  {deviceAllocated, set(2), "containers hold 3 slots"},
		"more than there are":    {deviceAllocated, set(5), "5 of 4 slots"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(change(tc.metric, tc.change), noon)
			if err == nil {
				t.Fatalf("got %+v, want an error with %q", got, tc.want)
			}
			if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "heteroaccel_") {
				t.Errorf("error %q, want one that names the metric and says %q", err, tc.want)
			}
		})
	}
	t.Run("nothing at all", func(t *testing.T) {
		if _, err := Decode(nil, noon); err == nil {
			t.Error("no series are no report")
		}
	})
}

func TestDecodeRejectsTwoHealths(t *testing.T) {
	series := Encode(Scrape{Node: "g", Devices: []accel.Device{{Kind: "GPU", ID: "x", Health: accel.Unhealthy, Slots: 1}}})
	for i := range series {
		if series[i].Name == deviceHealthy {
			series[i].Value = 1
		}
	}
	if _, err := Decode(series, noon); err == nil || !strings.Contains(err.Error(), "heteroaccel_device_healthy differs") {
		t.Errorf("error %v", err)
	}
}

func TestEncodeReplacesBytesThatAreNotText(t *testing.T) {
	s := Scrape{Node: "g", Time: noon, Devices: []accel.Device{{Kind: "GPU", ID: "x", Slots: 1, ExternalUse: "a\xff"}}}
	got, err := Decode(Encode(s), noon)
	if err != nil {
		t.Fatal(err)
	}
	if got.Devices[0].ExternalUse != "a\uFFFD" {
		t.Errorf("command %q", got.Devices[0].ExternalUse)
	}
}
