package server

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
)

// TestDocument asks for the document from many clients at once, as the library
// that makes it would render it at the first request, without a lock.
func TestDocument(t *testing.T) {
	_, s := door(t)
	texts := make([]string, 8)
	var all sync.WaitGroup
	for i := range texts {
		all.Go(func() {
			resp, err := http.Get(s.URL + "/openapi.json")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("status %d, %v", resp.StatusCode, err)
			}
			texts[i] = string(text)
		})
	}
	all.Wait()
	var doc struct {
		OpenAPI string                     `json:"openapi"`
		Paths   map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal([]byte(texts[0]), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI == "" || doc.Paths["/v1/sessions"] == nil {
		t.Errorf("not a document of the API: %.200s", texts[0])
	}
	for _, text := range texts[1:] {
		if text != texts[0] {
			t.Error("two clients were given two documents")
		}
	}
}
