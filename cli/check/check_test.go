package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"heteroaccel.io/cli/pages"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

var (
	errMissing   = apierrors.NewNotFound(schema.GroupResource{Resource: "things"}, "thing")
	errForbidden = apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "thing", errors.New("no right"))
	// As the API server says it.
	errDenied     = said(`admission webhook "pods.heteroaccel.io" denied the request: there is no inference "x"`)
	errUntrusted  = said(`Internal error occurred: failed calling webhook "pods.heteroaccel.io": failed to call webhook: Post "https://heteroaccel-webhook.heteroaccel-system.svc:443/mutate?timeout=5s": tls: failed to verify certificate: x509: certificate signed by unknown authority`)
	errNotReached = said(`Internal error occurred: failed calling webhook "pods.heteroaccel.io": failed to call webhook: Post "https://heteroaccel-webhook.heteroaccel-system.svc:443/mutate?timeout=5s": dial tcp 10.96.0.7:443: connect: connection refused`)
	errBackstop   = said(`pods "x" is forbidden: ValidatingAdmissionPolicy 'heteroaccel-backstop' with binding 'heteroaccel-backstop' denied request: this pod asks for an accelerator`)
	errNoCreate   = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", said(`User "somebody" cannot create resource "pods" in API group "" in the namespace "default"`))
	errQuota      = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("exceeded quota: small"))
)

// said is an error in the words of the API server.
func said(words string) error { return errors.New(words) }

// TestSound: with everything right every line is OK, and each check has one.
func TestSound(t *testing.T) {
	lines := Run(sound(t))
	if len(lines) != 15 || Failed(lines) {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if l.Result != OK || l.Fix != "" || l.Message == "" {
			t.Errorf("%+v", l)
		}
	}
}

// TestStates: one thing is not as it should be, and the line of that check alone says
// what.
func TestStates(t *testing.T) {
	type state struct {
		change func(*Cluster)
		check  string
		result Result
		says   string
	}
	for name, tt := range map[string]state{
		"old Kubernetes":            {func(c *Cluster) { c.Server.Value = "v1.34.9" }, "kubernetes", Wrong, "needs 1.35 or newer"},
		"a provider's version":      {func(c *Cluster) { c.Server.Value = "v1.35.0-eks-1234" }, "kubernetes", OK, "v1.35.0-eks-1234"},
		"no CRD":                    {func(c *Cluster) { c.CRD.Err = errMissing }, "crd", Wrong, "inferenceprofiles.heteroaccel.io is missing"},
		"CRD not established":       {func(c *Cluster) { c.CRD.Value.Status.Conditions = nil }, "crd", Wrong, "not established"},
		"CRD unreadable":            {func(c *Cluster) { c.CRD.Err = errForbidden }, "crd", NotChecked, "you may not read CustomResourceDefinitions"},
		"older CRD":                 {olderCRD, "crd", Wrong, "it lacks spec.serverAddress, spec.variants[].device"},
		"CRD of another version":    {func(c *Cluster) { c.CRD.Value.Spec.Versions[0].Name = "v1" }, "crd", Wrong, "does not serve v1alpha1"},
		"no profile":                {func(c *Cluster) { c.Profiles.Value = nil }, "profiles", Wrong, "there is no InferenceProfile"},
		"profiles unreadable":       {func(c *Cluster) { c.Profiles.Err = errForbidden }, "profiles", NotChecked, "you may not list InferenceProfiles"},
		"profile that is not valid": {func(c *Cluster) { c.Profiles.Value[0].Spec.DeviceFlags = []string{"-d GPU"} }, "profiles", Wrong, `device flag "-d GPU"`},
		"profile not usable":        {func(c *Cluster) { condition(c).Status, condition(c).Message = metav1.ConditionFalse, "why" }, "profiles", Wrong, "face-recognition is not usable: why"},
		"no node has the cores":     {withoutNode("x", "gpu.intel.com/i915"), "profiles", Wrong, "x is not usable: no node has what it takes"},
		"profile just changed":      {func(c *Cluster) { c.Profiles.Value[0].Generation = 2 }, "profiles", Wrong, "has not looked at profile face-recognition"},
		"nodes unreadable":          {func(c *Cluster) { c.Nodes.Err = errForbidden }, "devices", NotChecked, "you may not list nodes"},
		"device nobody has":         {func(c *Cluster) { c.Profiles.Value = append(c.Profiles.Value, *usable("x", "example.com/dla")) }, "devices", Wrong, "profile x can run nowhere"},
		"a kind nobody has":         {func(*Cluster) {}, "devices", OK, "no node offers npu.intel.com/accel"},
		"no device plugin":          {func(c *Cluster) { c.Nodes.Value = []corev1.Node{*node("g", "npu.intel.com/accel")} }, "devices", Wrong, "node g has the GPU 0000:00:02.0, and no gpu.intel.com/i915"},
		"not registered":            {func(c *Cluster) { c.Registration.Err = errMissing }, "registration", Wrong, "is not registered"},
		"no caBundle":               {func(c *Cluster) { c.Registration.Value.Webhooks[0].ClientConfig.CABundle = nil }, "registration", Wrong, "no caBundle"},
		"a driver":                  {drives("containerd://2.4.2"), "driver", OK, "the container runtimes of 1 node have CDI"},
		"a driver without CDI":      {drives("containerd://1.6.20~ds1"), "driver", Wrong, "nothing is published on node g: containerd 1.6.20~ds1 has no CDI"},
		"a driver, CDI switched on": {drives("containerd://1.7.27", "--runtime-has-cdi"), "driver", OK, "have CDI"},
		"failures ignored":          {func(c *Cluster) { c.Registration.Value.Webhooks[0].FailurePolicy = new(admissionv1.Ignore) }, "registration", Wrong, "failurePolicy is Ignore"},
		"registered by URL":         {byURL, "webhook", OK, "registered at https://localhost:1/mutate"},
		"webhook not ready":         {func(c *Cluster) { c.Ready[Webhook] = Read(0, nil) }, "webhook", Wrong, "no pod of heteroaccel-webhook is ready"},
		"a replica not ready":       {func(c *Cluster) { c.Programs[Webhook] = Read(Workload{Image: "x:v0.1.0", Desired: 2}, nil) }, "webhook", Wrong, "only 1 of 2 pods of heteroaccel-webhook are ready"},
		"webhook not installed":     {func(c *Cluster) { c.Programs[Webhook] = Fact[Workload]{Err: errMissing} }, "webhook", Wrong, "Deployment heteroaccel-webhook is missing"},
		"no Service":                {func(c *Cluster) { c.Ready[Webhook] = Fact[int]{Err: errMissing} }, "webhook", Wrong, "Service heteroaccel-webhook is missing"},
		"nobody asked":              {func(c *Cluster) { c.Mutated.Value.Annotations = nil }, "admission", Wrong, "the API server did not call the webhook"},
		"wrong caBundle":            {func(c *Cluster) { c.Mutated.Err = errUntrusted }, "admission", Wrong, "does not trust the webhook's certificate"},
		"webhook away":              {func(c *Cluster) { c.Mutated.Err = errNotReached }, "admission", Wrong, "cannot reach the webhook"},
		"backstop refuses":          {func(c *Cluster) { c.Mutated.Err = errBackstop }, "admission", Wrong, "backstop policy refused the pod"},
		"webhook refuses":           {func(c *Cluster) { c.Mutated.Err = errDenied }, "admission", Wrong, "refused a pod that asks for a profile that there is"},
		"no right to create":        {func(c *Cluster) { c.Mutated.Err = errNoCreate }, "admission", NotChecked, "you may not create pods in namespace default"},
		"quota in the way":          {func(c *Cluster) { c.Mutated.Err = errQuota }, "admission", NotChecked, "exceeded quota"},
		"nothing to ask for":        {func(c *Cluster) { c.Mutated.Err = fmt.Errorf("%w: no usable profile", ErrNotAsked) }, "admission", NotChecked, "no usable profile"},
		"no such namespace":         {func(c *Cluster) { c.Mutated.Err = errMissing }, "admission", Wrong, "there is no namespace default"},
		"nothing refused":           {func(c *Cluster) { c.Unknown.Err = nil }, "refusal", Wrong, "would be created"},
		"refused by the backstop":   {func(c *Cluster) { c.Unknown.Err = errBackstop }, "refusal", Wrong, "backstop policy refused the pod"},
		"no backstop":               {func(c *Cluster) { c.Policy.Err = errMissing }, "backstop", Wrong, "policy heteroaccel-backstop is missing"},
		"backstop not bound":        {func(c *Cluster) { c.Binding.Err = errMissing }, "backstop", Wrong, "is not bound"},
		"backstop only warns":       {func(c *Cluster) { c.Binding.Value.Spec.ValidationActions[0] = admissionv1.Warn }, "backstop", Wrong, "does not deny"},
		"backstop unreadable":       {func(c *Cluster) { c.Binding.Err = errForbidden }, "backstop", NotChecked, "you may not read ValidatingAdmissionPolicyBindings"},
		"extender not ready":        {func(c *Cluster) { c.Ready[Extender] = Read(0, nil) }, "extender", Wrong, "no pod of heteroaccel-extender is ready"},
		"no exporter":               {func(c *Cluster) { c.ExporterPods.Value = nil }, "exporters", Wrong, "no exporter runs on node g"},
		"exporter not ready":        {func(c *Cluster) { c.ExporterPods.Value[0].Status.Conditions = nil }, "exporters", Wrong, "on node g is not ready"},
		"no DaemonSet":              {func(c *Cluster) { c.Programs[Exporter] = Fact[Workload]{Err: errMissing} }, "exporters", Wrong, "DaemonSet heteroaccel-exporter is missing"},
		"exporters unreadable":      {func(c *Cluster) { c.ExporterPods.Err = errForbidden }, "exporters", NotChecked, "you may not list pods in heteroaccel-exporter"},
		"no telemetry":              {func(c *Cluster) { c.Replicas.Value[0].Nodes[0].Telemetry = nil }, "telemetry", Wrong, "no telemetry of node g"},
		"old telemetry":             {func(c *Cluster) { c.Replicas.Value[0].Nodes[0].Telemetry.Fresh = false }, "telemetry", Wrong, "telemetry of node g is 2s old"},
		"two exporters of a node":   {func(c *Cluster) { c.Replicas.Value[0].Nodes[0].Conflict = "two speak for it" }, "telemetry", Wrong, "node g: two speak for it"},
		"Windows needs none":        {windows, "exporters", OK, "ready on 1 node"},
		"no telemetry of Windows":   {windows, "telemetry", OK, "of 1 node,"},
		"left out of the DaemonSet": {leftOut, "exporters", OK, "ready on 1 node"},
		"no telemetry of left out":  {leftOut, "telemetry", OK, "of 1 node,"},
		"plugin gone":               {pluginGone, "exporters", OK, "ready on 1 node"},
		"exporters not created":     {func(c *Cluster) { c.Programs[Exporter] = Read(Workload{Image: "x:v0.1.0", Desired: 2}, nil) }, "exporters", Wrong, "the DaemonSet is for 2 nodes, and exporters run on 1"},
		"exporter not bound":        {unbound, "exporters", Wrong, "the DaemonSet is for 2 nodes, and exporters run on 1"},
		"no telemetry needed":       {noDevices, "telemetry", OK, "of no node, and none has an exporter"},
		"silent on a CPU node":      {silent, "telemetry", Wrong, "no telemetry of node cpu"},
		"not asked":                 {func(c *Cluster) { c.Canary.Answers[0].Asked = "no" }, "scheduler", Wrong, "without asking the extender"},
		"other replica asked":       {otherReplica, "scheduler", OK, "asked the extender"},
		"forgotten":                 {func(c *Cluster) { c.Canary.Answers[0] = pages.Asked{Asked: "unknown", Message: "unknown whether"} }, "scheduler", NotChecked, "not provable now: unknown whether"},
		"every device held":         {func(c *Cluster) { c.Canary = Canary{NothingFree: true, Last: c.Canary.Last, LastPod: "default/a"} }, "scheduler", NotChecked, "not provable now, since no device is free for a pod that would show it: the last question, about default/a, was 1m0s ago"},
		"never asked before":        {func(c *Cluster) { c.Canary = Canary{NothingFree: true} }, "scheduler", NotChecked, "no question about a pod that exists is remembered"},
		"not placed":                {func(c *Cluster) { c.Canary.Node, c.Canary.Verdict = "", "0/1 nodes are available" }, "scheduler", NotChecked, "0/1 nodes are available"},
		"no canary":                 {func(c *Cluster) { c.Canary.Err = errNoCreate }, "scheduler", NotChecked, "you may not create pods"},
		"pages denied":              {func(c *Cluster) { c.Replicas = Fact[[]pages.Replica]{Err: errForbidden} }, "extender pages", NotChecked, "you may not forward a port to pods in heteroaccel-system"},
		"pages broken":              {func(c *Cluster) { c.Replicas = Fact[[]pages.Replica]{Err: errors.New("connection refused")} }, "extender pages", Wrong, "connection refused"},
		"pages of nobody":           {func(c *Cluster) { c.Replicas.Value = nil }, "scheduler", NotChecked, "could not be read"},
		"no admission, no canary":   {func(c *Cluster) { c.Mutated.Err = errQuota }, "scheduler", NotChecked, "while no pod can be admitted"},
		"canary left":               {func(c *Cluster) { c.Canary.Left = errors.New("remove pod x: timeout") }, "scheduler", Wrong, "is still there: remove pod x"},
		"canary not seen":           {func(c *Cluster) { c.Canary.Err = errors.New("a page is gone") }, "scheduler", NotChecked, "not provable now: a page is gone"},
		"bypassed":                  {func(c *Cluster) { c.Replicas.Value[0].Bypassed = []string{"add x to managedResources"} }, "scheduler", Wrong, "add x to managedResources"},
		"a right is missing":        {func(c *Cluster) { c.Rights.Value[0].Allowed = false }, "rights", Wrong, "heteroaccel-webhook may not list pods, which it needs for"},
		"rights unreadable":         {func(c *Cluster) { c.Rights.Err = errForbidden }, "rights", NotChecked, "you may not ask for others' rights"},
		"two versions":              {func(c *Cluster) { c.Programs[Extender] = Read(Workload{Image: "x:v0.2.0"}, nil) }, "versions", Wrong, "v0.2.0 (heteroaccel-extender)"},
		"another version than this": {func(c *Cluster) { c.Version = "v0.3.0" }, "versions", Wrong, "this program is v0.3.0"},
		"development build":         {func(c *Cluster) { c.Version, c.Release = "development", false }, "versions", OK, "not compared"},
	} {
		t.Run(name, func(t *testing.T) {
			c := sound(t)
			tt.change(c)
			found := false
			for _, l := range Run(c) {
				if l.Check == tt.check && l.Result == tt.result && strings.Contains(l.Message, tt.says) {
					found = true
				} else if l.Result == Wrong && l.Check != tt.check {
					t.Errorf("%s is wrong too: %s", l.Check, l.Message)
				}
			}
			if !found {
				t.Errorf("no line %s %s with %q in %+v", tt.result, tt.check, tt.says, Run(c))
			}
		})
	}
}

func condition(c *Cluster) *metav1.Condition { return &c.Profiles.Value[0].Status.Conditions[0] }

func olderCRD(c *Cluster) {
	spec := c.CRD.Value.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	delete(spec.Properties, "serverAddress")
	delete(spec.Properties["variants"].Items.Schema.Properties, "device")
}

func byURL(c *Cluster) {
	h := &c.Registration.Value.Webhooks[0].ClientConfig
	h.Service, h.URL = nil, new("https://localhost:1/mutate")
}

// windows adds a node of another system, with a GPU, about which the extender knows as
// much as about any other.
func windows(c *Cluster) {
	w := node("w", gpu)
	w.Labels[corev1.LabelOSStable] = "windows"
	without(c, w)
}

// leftOut adds a node without a device, which the DaemonSet leaves out.
func leftOut(c *Cluster) { without(c, node("cpu")) }

// pluginGone adds a node whose device was removed.
func pluginGone(c *Cluster) {
	n := node("cpu", gpu)
	n.Status.Capacity[gpu] = resource.MustParse("0")
	without(c, n)
}

// silent adds a node without a device whose exporter does not answer.
func silent(c *Cluster) {
	leftOut(c)
	p := c.ExporterPods.Value[0]
	p.Spec.NodeName = "cpu"
	c.ExporterPods.Value = append(c.ExporterPods.Value, p)
}

// noDevices has the only node have no device, and no exporter.
func noDevices(c *Cluster) {
	c.Nodes.Value, c.ExporterPods.Value, c.Replicas.Value[0].Nodes = nil, nil, nil
	cpu := &c.Profiles.Value[0].Spec.Variants[0]
	cpu.Accelerator, cpu.Limits = "CPU", map[corev1.ResourceName]v1alpha1.Amount{corev1.ResourceCPU: resource.MustParse("1")}
	leftOut(c)
}

// unbound adds a node without a device whose exporter is not bound.
func unbound(c *Cluster) {
	leftOut(c)
	c.ExporterPods.Value = append(c.ExporterPods.Value, corev1.Pod{})
	c.Programs[Exporter] = Read(Workload{Image: "x:v0.1.0", Desired: 2}, nil)
}

// without adds a node on which no exporter runs.
func without(c *Cluster, n *corev1.Node) {
	c.Nodes.Value = append(c.Nodes.Value, *n)
	c.Replicas.Value[0].Nodes = append(c.Replicas.Value[0].Nodes, pages.Node{Name: n.Name})
}

func otherReplica(c *Cluster) {
	c.Canary.Answers = append([]pages.Asked{{Asked: "no"}}, c.Canary.Answers...)
}

// TestNobodyAnswers: where the API server cannot be asked, one line says it, and not
// fifteen.
func TestNobodyAnswers(t *testing.T) {
	c := sound(t)
	c.Server.Err = errors.New("dial tcp: connection refused")
	if lines := Run(c); len(lines) != 1 || lines[0].Result != Wrong {
		t.Errorf("%+v", lines)
	}
}

// TestNeeded: what an installation does without is not asked for.
func TestNeeded(t *testing.T) {
	all := len(Needed("s", nil, nil))
	if n := len(Needed("s", []string{"--readmission=false", "--tls-cert-file=/certs/tls.crt"}, nil)); n != all-3 {
		t.Errorf("%d of %d rights without re-admission and with cert-manager", n, all)
	}
	if n := len(Needed("s", []string{"--binding=auto"}, []string{"--resource-claims"})); n != all+5 {
		t.Errorf("%d rights where pods are bound late, and %d elsewhere", n, all)
	}
	// It patches pods all the same.
	if n := len(Needed("s", []string{"--binding=late", "--readmission=false"}, []string{"--resource-claims=false"})); n != all+3 {
		t.Errorf("%d rights where pods are bound late and none is recreated, and %d elsewhere", n, all)
	}
}

func TestVersion(t *testing.T) {
	for image, want := range map[string]string{
		"heteroaccel/heteroaccel:v0.1.0":             "v0.1.0",
		"registry.example:5000/heteroaccel":          "latest",
		"registry.example:5000/x:v1@sha256:0123":     "v1",
		"registry.example:5000/heteroaccel@sha256:1": "sha256:1",
	} {
		if got := Version(image); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

// TestPrint: for people and for programs.
func TestPrint(t *testing.T) {
	lines := []Line{ok("crd", "fine"), wrong("webhook", "kubectl get pods", "away"), notChecked("rights", "you may not")}
	var text, data bytes.Buffer
	if err := errors.Join(Text(&text, lines), JSON(&data, lines)); err != nil {
		t.Fatal(err)
	}
	const want = "OK           crd      fine\nWRONG        webhook  away\n                      $ kubectl get pods\nNOT CHECKED  rights   you may not\n\n1 OK, 1 wrong, 1 not checked\n"
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	var got struct {
		OK    bool
		Lines []Line
	}
	if err := json.Unmarshal(data.Bytes(), &got); err != nil || got.OK || len(got.Lines) != 3 || got.Lines[1] != lines[1] {
		t.Errorf("%v: %s", err, data.String())
	}
}

// drives has the exporters be a DRA driver on a node whose container runtime is this one.
func drives(runtime string, args ...string) func(*Cluster) {
	return func(c *Cluster) {
		p := c.Programs[Exporter]
		p.Value.Args = append([]string{"--drive=npu,fpga,cpu"}, args...)
		c.Programs[Exporter] = p
		c.Nodes.Value[0].Status.NodeInfo.ContainerRuntimeVersion = runtime
	}
}
