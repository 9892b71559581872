package extendertest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// Post sends arguments as kube-scheduler does, and decodes the body of the 200.
func Post(tb testing.TB, url string, args, into any) {
	tb.Helper()
	body, err := json.Marshal(args)
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		tb.Fatalf("POST %s: %s: %s", url, resp.Status, answer)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		tb.Fatalf("POST %s: %v in %s", url, err, answer)
	}
}

// Get reads a page; edits change the request.
func Get(tb testing.TB, url string, edits ...func(*http.Request)) (status int, contentType, body string) {
	tb.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for _, edit := range edits {
		edit(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
}
