package main

// row is a row of the dashboard, which can be folded.
type row struct {
	title  string
	panels []panel
}

// panel is one question about the cluster, and its answer.
type panel struct {
	title, about string
	show         show
	unit         string // of Grafana's
	width        uint32 // of 24
	// none is what a panel without data says.
	none    string
	queries []query
}

// show is how a panel shows its answer.
type show string

const (
	number show = "number" // of now, one for each series
	lines  show = "lines"  // over time
	stack  show = "stack"  // over time, one upon the other
	table  show = "table"  // of now, a row for each series
)

// query is a PromQL expression, and the name of its series in a legend.
type query struct{ expr, legend string }

// Matchers of what the variables select: devices, the pods that hold one, the pods that were
// admitted, and what is counted of these.
const (
	devices = `node=~"$node",kind=~"$kind"`
	holders = devices + `,exported_namespace=~"$namespace"`
	pods    = `pod_namespace=~"$namespace",inference=~"$inference",kind=~"$kind"`
	chosen  = `inference=~"$inference",kind=~"$kind"`
	// A pod that was denied has no kind.
	asked = `inference=~"$inference",kind=~"$kind|",dry_run="false"`
)

// rows are the dashboard, from what is looked at first to what is looked at last.
var rows = []row{
	{"Now", []panel{
		{
			title: "Free slots", about: "Slots of healthy devices that no container holds and no process outside Kubernetes uses.",
			show: number, unit: "none", width: 6, none: "no devices",
			queries: []query{{`sum by (kind) (clamp_min(heteroaccel_device_slots{` + devices + `} * on (node, kind, id) heteroaccel_device_healthy{` + devices + `} - on (node, kind, id) heteroaccel_device_allocated_slots{` + devices + `}, 0) unless on (node, kind, id) heteroaccel_device_external_use) or 0 * sum by (kind) (heteroaccel_device_slots{` + devices + `})`, "{{kind}}"}},
		},
		{
			title: "Pods that wait", about: "Pods that were admitted and that kube-scheduler has not bound. The extender's page /pods says why for each, as kubectl heteroaccel queue does.",
			show: number, unit: "none", width: 4,
			queries: []query{{`sum(heteroaccel_webhook_pods{` + pods + `,state="waiting"}) or vector(0)`, ""}},
		},
		{
			title: "Wait, 99th percentile", about: "Of the pods that started within the last hour, from their first admission to the start of their first container.",
			show: number, unit: "s", width: 4, none: "no pod started",
			queries: []query{{`histogram_quantile(0.99, sum by (le) (rate(heteroaccel_webhook_pod_wait_seconds_bucket{` + chosen + `}[1h]))) >= 0`, ""}},
		},
		{
			title: "Pods denied, last hour", about: "With a sentence for who created them: the page /decisions has it.",
			show: number, unit: "none", width: 4,
			queries: []query{{`round(sum(increase(heteroaccel_webhook_reviews_total{` + asked + `,outcome="refused"}[1h]))) or vector(0)`, ""}},
		},
		{
			title: "Devices not known to be healthy", about: "Unhealthy ones, and those of which the health is unknown.",
			show: number, unit: "none", width: 3,
			queries: []query{{`count(heteroaccel_device_health_info{` + devices + `}) or vector(0)`, ""}},
		},
		{
			title: "Alerts", about: "That are raised now. The annotation runbook_url of each leads to what to do.",
			show: number, unit: "none", width: 3,
			queries: []query{{`count(ALERTS{alertname=~"HeteroAccel.*",alertstate="firing"}) or vector(0)`, ""}},
		},
	}},
	{"Devices", []panel{
		{
			title: "Slots in use, by kind", about: "Share of all slots that containers hold.",
			show: lines, unit: "percentunit", width: 8, none: "no devices",
			queries: []query{{`sum by (kind) (heteroaccel_device_allocated_slots{` + devices + `}) / sum by (kind) (heteroaccel_device_slots{` + devices + `})`, "{{kind}}"}},
		},
		{
			title: "Load of each device", about: "Share of time for which it worked, where the kernel tells.",
			show: lines, unit: "percentunit", width: 8, none: "the kernel tells of none of these devices",
			queries: []query{{`max by (node, kind, id) (heteroaccel_device_busy_ratio{` + devices + `})`, "{{node}} {{kind}} {{id}}"}},
		},
		{
			title: "CPU in use, by node", about: "Share of the cores that are busy, with whatever.",
			show: lines, unit: "percentunit", width: 8, none: "no exporter",
			queries: []query{{`max by (node) (heteroaccel_cpu_busy_cores{node=~"$node"} / heteroaccel_cpu_cores{node=~"$node"})`, "{{node}}"}},
		},
		{
			title: "Who has a device", about: "The slots that each pod holds, as its kubelet tells.",
			show: table, unit: "none", width: 12, none: "nobody",
			queries: []query{{`sum by (node, kind, id, exported_namespace, exported_pod) (heteroaccel_device_holder_slots{` + holders + `})`, ""}},
		},
		{
			title: "Devices that no pod can have, and why", about: "Their health, or the process outside Kubernetes that uses them.",
			show: table, unit: "none", width: 12, none: "none",
			queries: []query{
				{`max by (node, kind, id, health, reason) (heteroaccel_device_health_info{` + devices + `})`, ""},
				{`max by (node, kind, id, command) (heteroaccel_device_external_use{` + devices + `})`, ""},
			},
		},
		{
			title: "Devices and their slots", about: "With the resource by which pods get them.",
			show: table, unit: "none", width: 24, none: "no devices",
			queries: []query{{`max by (node, kind, id, vendor, model, driver, resource) (heteroaccel_device_info{` + devices + `} * on (node, kind, id) group_left () heteroaccel_device_slots{` + devices + `})`, ""}},
		},
	}},
	{"Pods", []panel{
		{
			title: "Pods that wait, by kind", about: "For the kind that each was given; re-admission gives another one where that is better.",
			show: stack, unit: "none", width: 8, none: "none waits",
			queries: []query{{`sum by (kind) (heteroaccel_webhook_pods{` + pods + `,state="waiting"})`, "{{kind}}"}},
		},
		{
			title: "Pods that run, by inference and kind", about: "And those that are bound and pull their image.",
			show: stack, unit: "none", width: 8, none: "none runs",
			queries: []query{{`sum by (inference, kind) (heteroaccel_webhook_pods{` + pods + `,state!="waiting"})`, "{{inference}} on {{kind}}"}},
		},
		{
			title: "Decisions a minute", about: "Admissions of pods by the kind that was chosen: it was idle, or the pod waits, or every kind is refused. A pod that is denied has no kind.",
			show: stack, unit: "none", width: 8, none: "no decisions",
			queries: []query{{`60 * sum by (kind, outcome) (rate(heteroaccel_webhook_reviews_total{` + asked + `,outcome!="untouched"}[$__rate_interval]))`, "{{kind}} {{outcome}}"}},
		},
		{
			title: "How long pods waited", about: "Median and 99th percentile of the pods that started, from their first admission to the start of their first container.",
			show: lines, unit: "s", width: 8, none: "no pod started",
			queries: []query{
				{`histogram_quantile(0.5, sum by (le, kind) (rate(heteroaccel_webhook_pod_wait_seconds_bucket{` + chosen + `}[$__rate_interval]))) >= 0`, "{{kind}} median"},
				{`histogram_quantile(0.99, sum by (le, kind) (rate(heteroaccel_webhook_pod_wait_seconds_bucket{` + chosen + `}[$__rate_interval]))) >= 0`, "{{kind}} 99th"},
			},
		},
		{
			title: "How long a run takes", about: "As the profile hints, as was learned, and as is expected of both.",
			show: table, unit: "s", width: 8, none: "no profile has a time",
			queries: []query{{`max by (inference, kind, source) (heteroaccel_webhook_run_seconds{` + chosen + `})`, ""}},
		},
		{
			title: "Pods recreated or moved", about: "For a kind that became idle, by what became of the attempt.",
			show: lines, unit: "none", width: 8, none: "re-admission is off",
			queries: []query{{`sum by (owner, outcome) (increase(heteroaccel_webhook_readmissions_total[$__rate_interval]))`, "{{owner}} {{outcome}}"}},
		},
	}},
	{"Servers", []panel{
		{
			title: "Servers", about: "Pods that are Ready and run without an end, by their kind.",
			show: stack, unit: "none", width: 8, none: "no servers",
			queries: []query{{`sum by (kind) (heteroaccel_webhook_servers{` + pods + `})`, "{{kind}}"}},
		},
		{
			title: "What servers can do", about: "Inferences a second, by their kind, as far as it is known how long one takes there. What they do of it: owner:heteroaccel_server_use:ratio, where they report it.",
			show: stack, unit: "none", width: 8, none: "no servers",
			queries: []query{{`sum by (kind) (heteroaccel_webhook_server_capacity{` + pods + `})`, "{{kind}}"}},
		},
		{
			title: "Servers moved to a faster kind", about: "Because a rollout had displaced them, or as they asked for it, by what became of the attempt.",
			show: lines, unit: "none", width: 8, none: "re-admission is off",
			queries: []query{{`sum by (why, outcome) (increase(heteroaccel_webhook_upgrades_total[$__rate_interval]))`, "{{why}} {{outcome}}"}},
		},
	}},
	{"Programs", []panel{
		{
			title: "Time to decide", about: "Of the webhook, from a decoded review to its patch.",
			show: lines, unit: "s", width: 8, none: "no reviews",
			queries: []query{
				{`histogram_quantile(0.5, sum by (le) (rate(heteroaccel_webhook_decision_duration_seconds_bucket[$__rate_interval]))) >= 0`, "median"},
				{`histogram_quantile(0.99, sum by (le) (rate(heteroaccel_webhook_decision_duration_seconds_bucket[$__rate_interval]))) >= 0`, "99th"},
			},
		},
		{
			title: "Time of the extender", about: "99th percentile of the requests of kube-scheduler. Where it fails pods cannot be placed.",
			show: lines, unit: "s", width: 8, none: "no requests",
			queries: []query{{`histogram_quantile(0.99, sum by (le, verb, result) (rate(heteroaccel_extender_request_duration_seconds_bucket[$__rate_interval]))) >= 0`, "{{verb}} {{result}}"}},
		},
		{
			title: "Age of telemetry", about: "Of each node, for the program that has the oldest. From 15 s on the node is stale.",
			show: lines, unit: "s", width: 8, none: "no telemetry",
			queries: []query{{`max by (node) (heteroaccel_telemetry_age_seconds{node=~"$node"})`, "{{node}}"}},
		},
		{
			title: "Reservations", about: "Decisions whose pod was not seen yet, and those that became overdue: somebody denied the pod, or nobody was going to create it.",
			show: lines, unit: "none", width: 8, none: "no webhook",
			queries: []query{
				{`sum(heteroaccel_webhook_reservations)`, "reservations"},
				{`sum(increase(heteroaccel_webhook_overdue_reservations_total[$__rate_interval]))`, "overdue"},
			},
		},
		{
			title: "Memory", about: "Resident, of each replica.",
			show: lines, unit: "bytes", width: 8, none: "no programs",
			queries: []query{
				{`max by (program, instance) (process_resident_memory_bytes{program=~"webhook|extender|connector|connector-node"})`, "{{program}} {{instance}}"},
				{`max by (node) (process_resident_memory_bytes * on (job, instance) group_left () heteroaccel_exporter_info{node=~"$node"})`, "exporter {{node}}"},
			},
		},
		{
			title: "Processor", about: "Cores, of each replica.",
			show: lines, unit: "none", width: 8, none: "no programs",
			queries: []query{
				{`max by (program, instance) (rate(process_cpu_seconds_total{program=~"webhook|extender|connector|connector-node"}[$__rate_interval]))`, "{{program}} {{instance}}"},
				{`max by (node) (rate(process_cpu_seconds_total[$__rate_interval]) * on (job, instance) group_left () heteroaccel_exporter_info{node=~"$node"})`, "exporter {{node}}"},
			},
		},
	}},
	{"Sessions of the connector", []panel{
		{
			title: "Sessions", about: "That have a server, and that wait for one.",
			show: stack, unit: "none", width: 8, none: "no connector",
			queries: []query{
				{`max(heteroaccel_connector_sessions_served)`, "served"},
				{`max(heteroaccel_connector_sessions_waiting)`, "waiting"},
			},
		},
		{
			title: "How long sessions waited", about: "99th percentile of those that got a server.",
			show: lines, unit: "s", width: 8, none: "none got a server",
			queries: []query{{`histogram_quantile(0.99, sum by (le) (rate(heteroaccel_connector_session_wait_seconds_bucket[$__rate_interval]))) >= 0`, "99th"}},
		},
		{
			title: "Sessions created, ended and moved", about: "A session is moved when it loses its server.",
			show: lines, unit: "none", width: 8, none: "no connector",
			queries: []query{
				{`sum(increase(heteroaccel_connector_sessions_created_total[$__rate_interval]))`, "created"},
				{`sum by (reason) (increase(heteroaccel_connector_sessions_ended_total[$__rate_interval]))`, "{{reason}}"},
				{`sum(increase(heteroaccel_connector_session_moves_total[$__rate_interval]))`, "moved"},
			},
		},
	}},
}
