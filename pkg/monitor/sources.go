package monitor

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"heteroaccel.io/pkg/telemetry"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// maxBatch is how many nodes' series are asked for at once: with two GPUs each
	// the answer has half a megabyte.
	maxBatch = 250
	// lookBehind is how old a scrape may be to be read: an older one is stale for
	// any purpose.
	lookBehind = time.Minute
	// replacedAfter is how much older than a node's newest scrape that of another
	// target must be for that target to have been replaced, as when an exporter got
	// another address. Prometheus marks series of a target that is gone, so this is
	// for those that pass series on and do not.
	replacedAfter = 10 * time.Second
	// slack is by how much an answer may be later than its query's time.
	slack = 2 * time.Second
	// maxName bounds a node's name, as Kubernetes does.
	maxName = validation.DNS1123SubdomainMaxLength
)

// exported begins the name of a page's label that the target has too.
const exported = "exported_"

// source is a target of Prometheus that speaks for a node.
type source struct {
	node string
	// labels are all labels that Prometheus gave the target, node included.
	labels map[string]string
	// millis is the time of its last scrape.
	millis int64
}

// sourcesOf returns the source of each node, by the series of exporterInfo, whose
// values are the times of their scrapes in seconds. Labels of the page are
// exported_node alone: all others are the target's.
func sourcesOf(series []instantSeries) ([]source, []error) {
	var errs []error
	byNode := map[string][]source{}
	for _, s := range series {
		claimed, vouched := s.Metric[exported+telemetry.LabelNode]
		node := s.Metric[telemetry.LabelNode]
		switch {
		case node == "", len(node) > maxName:
			errs = append(errs, fmt.Errorf("a series of %s has no node: relabel node from __meta_kubernetes_pod_node_name", telemetry.ExporterInfo))
			continue
		case !vouched:
			errs = append(errs, &Conflict{node, "Prometheus leaves it to the page to name its node: set honor_labels: false and relabel node from __meta_kubernetes_pod_node_name"})
			continue
		case claimed != node:
			errs = append(errs, &Conflict{node, fmt.Sprintf("the page of %s says that it is node %s: relabel node from __meta_kubernetes_pod_node_name", s.Metric["instance"], shorten(claimed))})
			continue
		}
		at, err := millis(s.Value.value)
		if err != nil {
			errs = append(errs, fmt.Errorf("node %s was scraped at no time: %w", node, err))
			continue
		}
		labels := maps.Clone(s.Metric)
		delete(labels, exported+telemetry.LabelNode)
		delete(labels, "__name__")
		byNode[node] = append(byNode[node], source{node, labels, at})
	}
	var out []source
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		of := byNode[node]
		slices.SortFunc(of, func(a, b source) int { return cmp.Compare(b.millis, a.millis) })
		if len(of) > 1 && of[0].millis-of[1].millis < replacedAfter.Milliseconds() {
			errs = append(errs, &Conflict{node, "two targets say that they are it, which differ in " + difference(of[0].labels, of[1].labels) + ": choose one with --prometheus-selector"})
			continue
		}
		out = append(out, of[0])
	}
	return out, errs
}

// difference is a text of the labels in which two sets differ.
func difference(a, b map[string]string) string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if a[name] != b[name] {
			differ = append(differ, fmt.Sprintf("%s (%q and %q)", name, a[name], b[name]))
		}
	}
	return cmp.Or(strings.Join(differ, ", "), "nothing")
}

// batches divides the sources that were scraped lately, at now in milliseconds,
// into those that are queried together. The most recent come first, so that most
// queries look back for few seconds.
func batches(sources []source, now int64) [][]source {
	recent := slices.DeleteFunc(slices.Clone(sources), func(s source) bool { return now-s.millis > lookBehind.Milliseconds() })
	slices.SortStableFunc(recent, func(a, b source) int { return cmp.Compare(b.millis, a.millis) })
	return slices.Collect(slices.Chunk(recent, maxBatch))
}

// rangeQuery selects the raw samples of the metrics of some sources, since their
// last scrapes. Sources are in the order of batches.
func rangeQuery(selector string, some []source, now int64) string {
	nodes := make([]string, len(some))
	for i, s := range some {
		nodes[i] = regexp.QuoteMeta(s.node)
	}
	behind := max(0, now-some[len(some)-1].millis) + slack.Milliseconds()
	return fmt.Sprintf(`{__name__=~"%s",%s,%s=~%s}[%dms]`, contract(), selector, telemetry.LabelNode, strconv.Quote(strings.Join(nodes, "|")), behind)
}

// contract is a regular expression for the metrics that decisions go by.
func contract() string {
	var names []string
	for _, m := range telemetry.Metrics() {
		if !m.Diagnostic {
			names = append(names, m.Name)
		}
	}
	return strings.Join(names, "|")
}

// lastScrape is the last scrape of a source.
type lastScrape struct {
	source
	series []telemetry.Series
	// others are how many series of the node are not the source's.
	others int
}

// check returns an error where a scrape has nothing but its exporterInfo while the
// node has more series: the target's labels differ from one series to the next, and
// a node must not look as if it had no devices.
func (l *lastScrape) check() error {
	if len(l.series) == 1 && l.others > 0 {
		return fmt.Errorf("%s has labels that the other series do not have: relabel them alike", telemetry.ExporterInfo)
	}
	return nil
}

// lastScrapes returns the last scrape of each source among the series. All samples
// of a scrape have the same time, so a series whose last sample is older was not in
// it. Sources without series are left out: their target went meanwhile.
func lastScrapes(some []source, series []rangeSeries) []lastScrape {
	at := make(map[string]*lastScrape, len(some))
	for _, s := range some {
		at[s.node] = &lastScrape{source: s}
		at[s.node].millis = 0
	}
	var own []rangeSeries
	for _, s := range series {
		of := at[s.Metric[telemetry.LabelNode]]
		if of == nil {
			continue
		}
		if !of.has(s.Metric) {
			of.others++
			continue
		}
		own = append(own, s)
		if s.Metric["__name__"] == telemetry.ExporterInfo {
			of.millis = max(of.millis, s.Last.millis)
		}
	}
	for _, s := range own {
		if of := at[s.Metric[telemetry.LabelNode]]; s.Last.millis == of.millis {
			of.series = append(of.series, telemetry.Series{Name: s.Metric["__name__"], Labels: pageLabels(s.Metric), Value: s.Last.value})
		}
	}
	var out []lastScrape
	for _, s := range some {
		if last := at[s.node]; len(last.series) > 0 {
			out = append(out, *last)
		}
	}
	return out
}

// has reports whether a series is the source's: it has all labels of the target.
// Others are the page's.
func (s *source) has(labels map[string]string) bool {
	for name, value := range s.labels {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// labelsOf are the labels of each metric of the contract.
var labelsOf = func() map[string][]string {
	of := map[string][]string{}
	for _, m := range telemetry.Metrics() {
		of[m.Name] = m.Labels
	}
	return of
}()

// pageLabels are the labels of a series as the page has them: where the target has
// one of the same name, as service discovery adds namespace, pod and container,
// the page's is the exported one. The node is the target's.
func pageLabels(labels map[string]string) map[string]string {
	names := labelsOf[labels["__name__"]]
	own := make(map[string]string, len(names))
	for _, name := range names {
		value, renamed := labels[exported+name]
		if !renamed || name == telemetry.LabelNode {
			value = labels[name]
		}
		if value != "" {
			own[name] = value
		}
	}
	return own
}
