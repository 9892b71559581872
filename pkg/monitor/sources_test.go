package monitor

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heteroaccel.io/pkg/telemetry"
)

// with is a copy of labels in which some have other values, "" for none.
func with(labels map[string]string, pairs ...string) map[string]string {
	out := maps.Clone(labels)
	for i := 0; i < len(pairs); i += 2 {
		if out[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(out, pairs[i])
		}
	}
	return out
}

// TestWhoSpeaksForANode: what reaches a shared Prometheus from anybody but the
// node's own exporter changes nothing, or makes the node one without telemetry.
func TestWhoSpeaksForANode(t *testing.T) {
	own := asShipped("g", "10.0.0.1:9817")
	const cluster = `,cluster="ours"`
	for name, tc := range map[string]struct {
		selector string
		fill     func(p *server, now time.Time)
		want     []telemetry.Scrape // times are not compared
		conflict []string
		err      string
	}{
		"a tenant's page": {
			fill: func(p *server, now time.Time) {
				p.scraped(sick("g"), map[string]string{"job": "tenant", "namespace": "tenant", "instance": "10.9.9.9:80", "node": "g"}, now)
			},
			want: []telemetry.Scrape{gpu("g", 1)},
		},
		"a tenant's page with a label exported_node": {
			fill: func(p *server, now time.Time) {
				for _, s := range p.scraped(sick("x"), map[string]string{"job": "tenant", "namespace": "tenant", "instance": "10.9.9.9:80"}, now) {
					s.labels["exported_node"] = "g"
				}
			},
			want: []telemetry.Scrape{gpu("g", 1)},
		},
		"a tenant's job of the same name": {
			fill: func(p *server, now time.Time) {
				p.scraped(sick("g"), with(own, "namespace", "tenant", "instance", "10.9.9.9:80"), now)
			},
			want: []telemetry.Scrape{gpu("g", 1)},
		},
		"an exporter that claims another's node": {
			fill: func(p *server, now time.Time) { p.scraped(sick("g"), asShipped("f", "10.0.0.2:9817"), now) },
			want: []telemetry.Scrape{gpu("g", 1)}, conflict: []string{"f"}, err: "the page of 10.0.0.2:9817 says that it is node g",
		},
		"two targets of one node": {
			fill:     func(p *server, now time.Time) { p.scraped(sick("g"), asShipped("g", "10.0.0.9:9817"), now) },
			conflict: []string{"g"}, err: `instance ("10.0.0.9:9817" and "10.0.0.1:9817")`,
		},
		"two clusters, the same address": {
			fill:     func(p *server, now time.Time) { p.scraped(sick("g"), with(own, "cluster", "theirs"), now) },
			conflict: []string{"g"}, err: "cluster",
		},
		"two clusters, and the selector says which": {
			selector: DefaultSelector + cluster,
			fill: func(p *server, now time.Time) {
				for _, s := range p.series {
					s.labels["cluster"] = "ours"
				}
				p.scraped(sick("g"), with(own, "cluster", "theirs"), now)
			},
			want: []telemetry.Scrape{gpu("g", 1)},
		},
		"the page names its node": {
			fill: func(p *server, now time.Time) {
				p.series = nil
				p.scraped(gpu("g", 1), with(own, "node", ""), now)
			},
			conflict: []string{"g"}, err: "set honor_labels: false",
		},
		"another name for the node": {
			fill: func(p *server, now time.Time) {
				p.series = nil
				p.scraped(gpu("g", 1), with(own, "node", "ip-10-0-0-1"), now)
			},
			conflict: []string{"ip-10-0-0-1"}, err: "__meta_kubernetes_pod_node_name",
		},
		"a name that is a pattern": {
			fill: func(p *server, now time.Time) {
				p.series = nil
				for _, node := range []string{"a.b", "axb", `a"b`} {
					p.scraped(gpu(node, 1), asShipped(node, "of "+node), now)
				}
			},
			want: []telemetry.Scrape{gpu(`a"b`, 1), gpu("a.b", 1), gpu("axb", 1)},
		},
		"a name that is endless": {
			fill: func(p *server, now time.Time) {
				long := strings.Repeat("x", 100_000)
				p.scraped(gpu(long, 1), asShipped(long, "b"), now)
			},
			want: []telemetry.Scrape{gpu("g", 1)}, err: "has no node",
		},
		"a label of its own on one series": {
			fill: func(p *server, now time.Time) {
				for _, s := range p.scraped(gpu("f", 1), asShipped("f", "b"), now) {
					if s.labels["__name__"] == telemetry.ExporterInfo {
						s.labels["extra"] = "1"
					}
				}
			},
			want: []telemetry.Scrape{gpu("g", 1)}, err: "relabel them alike",
		},
		"a series of another target among its own": {
			fill: func(p *server, now time.Time) {
				p.add(with(own, "__name__", "heteroaccel_device_external_use", "kind", "GPU", "id", "0000:00:02.0", "command", "x", "instance", "b"), now, 1)
			},
			want: []telemetry.Scrape{gpu("g", 1)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &server{now: time.Now()}
			p.scraped(gpu("g", 1), own, p.now.Add(-time.Second))
			tc.fill(p, p.now)
			if tc.selector == "" {
				tc.selector = DefaultSelector
			}
			got, err := askFor(t, p, tc.selector)
			if diff := cmp.Diff(tc.want, got, ignoreTime); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tc.conflict, conflicting(err)); diff != "" {
				t.Errorf("conflicts (-want +got)\n%s", diff)
			}
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}

// TestAnswersAreBounded: no answer is larger than its limit however many nodes
// there are, and an exporter with too many series hides no other.
func TestAnswersAreBounded(t *testing.T) {
	p := &server{now: time.Now(), larger: map[string]int{"node-0042": answerLimit/20 + 1}}
	const nodes = maxBatch + 1
	for i := range nodes {
		node := fmt.Sprintf("node-%04d", i)
		p.scraped(telemetry.Scrape{Node: node, CPUCores: 4, CPUBusy: 1}, asShipped(node, fmt.Sprint(i)), p.now)
	}
	p.scraped(gpu("node-0042", 1), asShipped("node-0042", "42"), p.now)
	got, err := ask(t, p)
	if err != nil || len(got) != nodes || p.queries != 2 {
		t.Errorf("%d nodes by %d queries, %v", len(got), p.queries, err)
	}
	p.larger["node-0042"], p.queries = answerLimit/3, 0
	got, err = ask(t, p)
	if err == nil || !strings.Contains(err.Error(), "node-0042") || len(got) != nodes-1 {
		t.Errorf("%d nodes, %v", len(got), err)
	}
	if p.queries > 2+2*8 { // 250 nodes are halved eight times
		t.Errorf("%d queries", p.queries)
	}
}
