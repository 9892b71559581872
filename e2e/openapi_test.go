package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/schemathesis"
	"heteroaccel.io/e2e/stack"
)

// fewestRequests is how many generated requests the API is tested with at least.
const fewestRequests = 5000

// apiChecks are what is looked at in each answer. Two are left out: that a valid
// request is accepted, since the document cannot say which inferences there are,
// and that what was created is there, since a session may live for a second.
const apiChecks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance," +
	"negative_data_rejection,missing_required_header,unsupported_method,allow_header_conformance,use_after_free,ignored_auth"

// apiProfiles are one inference whose servers take many sessions, and one that
// has no servers. Of the kind FPGA there is no device: its sessions wait.
const apiProfiles = `
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: shared}
spec:
  sessionsPerPod: 1024
  template:
    spec:
      containers:
      - name: inference
        image: heteroaccel/shared
        ports: [{containerPort: 8080}]
  variants:
  - {accelerator: CPU, image: heteroaccel/shared, limits: {cpu: "1"}}
  - {accelerator: FPGA, image: heteroaccel/shared, limits: {fpga.intel.com/nobody-has: "1"}}
---
apiVersion: heteroaccel.io/v1alpha1
kind: InferenceProfile
metadata: {name: without-template}
spec:
  variants:
  - {accelerator: CPU, image: heteroaccel/shared, limits: {cpu: "1"}}
`

// TestOpenAPI: whatever is sent to the connector, its answers are those of the
// document that it serves, and none of them is a server's error.
func TestOpenAPI(t *testing.T) {
	s := borrow(t, oneNode)
	tester, err := schemathesis.Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.InstallConnector(t.Context()); err != nil {
		t.Fatal(err)
	}
	const token = "token-of-the-camera"
	dir := t.TempDir()
	tokens, config := filepath.Join(dir, "tokens.csv"), filepath.Join(dir, "schemathesis.toml")
	content, err := os.ReadFile("testdata/openapi/schemathesis.toml")
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{tokens: []byte(token + ",camera\n"), config: content} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := s.KubectlInput(t.Context(), apiProfiles, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer kubectl(t, s, "delete", "inferenceprofile", "shared", "without-template")
	if err := s.StartConnector(t.Context(), "connector", "--anonymous=false", "--token-auth-file="+tokens, "--idle-timeout=1s",
		"--max-sessions-per-client=1000000", "--max-requests-per-second=1000000", "--max-requests-burst=1000000"); err != nil {
		t.Fatal(err)
	}
	defer s.Process("connector").Kill()
	defer endSessions(t, s)

	// One worker: with several, the Python 3.11.2 of Debian 12 fails in its parser.
	send := func(seed int, args ...string) int {
		began := time.Now()
		n, err := tester.Run(t.Context(), config, s.URL("connector", "/openapi.json"), append([]string{
			"--header", "Authorization: Bearer " + token, "--checks", apiChecks, "--seed", fmt.Sprint(seed), "--workers", "1", "--no-shrink",
		}, args...)...)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		t.Logf("seed %d, %s: %d requests in %s", seed, args[1], n, time.Since(began).Round(time.Second))
		return n
	}
	// Single requests, and beside them sequences of requests for the same session.
	single := make(chan int)
	go func() { single <- send(1, "--phases", "examples,coverage,fuzzing", "--max-examples", "250") }()
	total, running := 0, single
	for seed := 2; !t.Failed() && (running != nil || total < fewestRequests); seed++ {
		total += send(seed, "--phases", "stateful", "--max-examples", "300", "--max-time", "15")
		select {
		case n := <-running:
			total, running = total+n, nil
		default:
		}
	}
	if running != nil {
		<-running
	}
	t.Logf("%d requests", total)
}

// endSessions deletes every session, and waits until the servers have gone.
func endSessions(t *testing.T, s *stack.Stack) {
	err := s.Client().CoordinationV1().Leases(stack.SessionNamespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "heteroaccel.io/session"})
	if err != nil {
		t.Error(err)
	}
	noServers(t, s)
}
