package e2e

import (
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/schemathesis"
	"heteroaccel.io/e2e/stack"
)

// TestOpenAPI: whatever is sent to the connector, its answers are those of the
// document that it serves, and none of them is a server's error. Most requests
// are sent to the API alone, by the test of package schemathesis; these are what
// the controller and the API server behind it have to bear.
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
	tokens := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(tokens, []byte(token+",camera\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := s.KubectlInput(t.Context(), schemathesis.Profiles, "create", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	defer kubectl(t, s, "delete", "inferenceprofile", "shared", "without-template")
	if err := s.StartConnector(t.Context(), "connector", "--anonymous=false", "--token-auth-file="+tokens, "--idle-timeout=1s",
		"--max-sessions-per-client=1000000", "--max-requests-per-second=1000000", "--max-requests-burst=1000000"); err != nil {
		t.Fatal(err)
	}
	defer s.Process("connector").Kill()
	defer endSessions(t, s)

	fewest := 600
	if long {
		fewest = 5000
	}
	requests, err := tester.Connector(t.Context(), s.URL("connector", "/openapi.json"), token, fewest)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d requests", requests)
}

// endSessions deletes every session, and waits until the servers have gone.
func endSessions(t *testing.T, s *stack.Stack) {
	err := s.Client().CoordinationV1().Leases(stack.SessionNamespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "heteroaccel.io/session"})
	if err != nil {
		t.Error(err)
	}
	noServers(t, s)
}
