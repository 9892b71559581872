package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"

	"heteroaccel.io/e2e/stack"
)

// webhookClient trusts what the API server trusts: the caBundle that the
// webhook wrote into its registration.
func webhookClient(t *testing.T, s *stack.Stack) *http.Client {
	t.Helper()
	config, err := s.Client().AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), "heteroaccel", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(config.Webhooks[0].ClientConfig.CABundle) {
		t.Fatal("the caBundle holds no certificate")
	}
	return clientWith(t, &tls.Config{RootCAs: roots})
}

// clientWith sends a large body only once the server has said that it wants it.
func clientWith(t *testing.T, config *tls.Config) *http.Client {
	transport := &http.Transport{TLSClientConfig: config, ExpectContinueTimeout: limit}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// post sends a body and returns status and answer.
func post(t *testing.T, client *http.Client, method, url, contentType string, body io.Reader) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if req.ContentLength > 1<<20 { // as curl does; else it may not see the answer while it sends
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the answer of %s %s: %v", method, url, err)
	}
	return resp.StatusCode, answer
}

// review asks a replica of the webhook about a pod, as the API server does, and
// returns its patch.
func review(t *testing.T, s *stack.Stack, replica, namespace string, object []byte) []byte {
	t.Helper()
	return reviewOver(t, webhookClient(t, s), s.ReviewURL(replica, "/mutate"), namespace, object)
}

// reviewOver is review over a client's connection.
func reviewOver(t *testing.T, client *http.Client, url, namespace string, object []byte) []byte {
	t.Helper()
	ask, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID:       uuid.NewUUID(),
			Kind:      metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource:  metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Operation: admissionv1.Create,
			Namespace: namespace,
			Object:    runtime.RawExtension{Raw: object},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	code, body := post(t, client, http.MethodPost, url, "application/json", bytes.NewReader(ask))
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &answer); code != http.StatusOK || err != nil {
		t.Fatalf("the webhook answers %d %s (%v)", code, body, err)
	}
	if !answer.Response.Allowed {
		t.Fatalf("the webhook refuses: %s", answer.Response.Result.Message)
	}
	return answer.Response.Patch
}

// badRequests: whatever is sent, the answer is a 4xx with one sentence, and the
// programs live on.
func badRequests(t *testing.T, s *stack.Stack) {
	secure, plain := webhookClient(t, s), clientWith(t, nil)
	const asJSON = "application/json"
	const head = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","resource":{"resource":"pods"},"object":`
	deep := strings.Repeat("[", 1<<20)
	bodies := map[string]struct {
		method, contentType, body string
		want                      int
	}{
		"garbage":        {http.MethodPost, asJSON, "\x00\x01 not JSON", 400},
		"not UTF-8":      {http.MethodPost, asJSON, "{\"Pod\":\"\xff\"}", 400},
		"empty":          {http.MethodPost, asJSON, "", 400},
		"null":           {http.MethodPost, asJSON, "null", 400},
		"another object": {http.MethodPost, asJSON, `{"kind":"Pod","apiVersion":"v1"}`, 400},
		"a list":         {http.MethodPost, asJSON, `[]`, 400},
		"cut off":        {http.MethodPost, asJSON, head + `{"metadata":`, 400},
		"wrong types":    {http.MethodPost, asJSON, head + `{"spec":{"containers":"none"}},"Pod":7}}`, 400},
		"nested":         {http.MethodPost, asJSON, deep, 400},
		"nested pod":     {http.MethodPost, asJSON, head + `{"spec":` + deep, 400},
		"wrong method":   {http.MethodGet, "", "", 405},
		"deletion":       {http.MethodDelete, asJSON, "", 405},
		"form":           {http.MethodPost, "application/x-www-form-urlencoded", "a=b", 415},
		"no type":        {http.MethodPost, "", "{}", 415},
		"50 MB":          {http.MethodPost, asJSON, `{"Pod":"` + strings.Repeat("x", 50<<20) + `"}`, 413},
	}
	for endpoint, e := range map[string]struct {
		client *http.Client
		url    string
	}{
		"mutate":     {secure, s.ReviewURL("webhook", "/mutate")},
		"filter":     {plain, s.URL("extender verbs", "/scheduler/filter")},
		"prioritize": {plain, s.URL("extender verbs", "/scheduler/prioritize")},
	} {
		for name, tc := range bodies {
			t.Run(endpoint+"/"+name, func(t *testing.T) {
				code, answer := post(t, e.client, tc.method, e.url, tc.contentType, strings.NewReader(tc.body))
				wantFailure(t, code, tc.want, answer)
			})
		}
	}
	for url, want := range map[string]int{
		s.URL("extender", "/nothing"):               404,
		s.URL("extender", "/nodes/nowhere"):         404,
		s.URL("extender", "/pods/default/nobody"):   404,
		s.URL("extender", "/profiles/none"):         404,
		s.URL("extender", "/nodes?format=xml"):      400,
		s.URL("webhook status", "/nothing"):         404,
		s.URL("extender", "/pods/%00/%2e%2e%2fetc"): 404,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", asJSON)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		wantFailure(t, resp.StatusCode, want, answer)
	}
	for program, url := range map[string]string{"webhook": s.URL("webhook status", "/readyz"), "extender": s.URL("extender status", "/readyz")} {
		select {
		case <-s.Process(program).Done():
			t.Errorf("the %s ended", program)
		default:
		}
		if _, err := stack.Get(t.Context(), url); err != nil {
			t.Errorf("the %s is not ready: %v", program, err)
		}
	}
}

// wantFailure checks a refused request: its status, and one sentence.
func wantFailure(t *testing.T, code, want int, answer []byte) {
	t.Helper()
	var failure struct{ Error string }
	err := json.Unmarshal(answer, &failure)
	if code != want || err != nil || failure.Error == "" || strings.Contains(failure.Error, "\n") || len(failure.Error) > 300 {
		t.Errorf("the answer is %d, want %d, and one sentence: %.500s (%v)", code, want, answer, err)
	}
}
