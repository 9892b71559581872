package ui

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result()
}

func TestHandler(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		sort   string
	}{
		"/ui":              {http.StatusPermanentRedirect, ""},
		"/ui/":             {http.StatusOK, "text/html"},
		"/ui/main.js":      {http.StatusOK, "text/javascript"},
		"/ui/style.css":    {http.StatusOK, "text/css"},
		"/ui/icon.svg":     {http.StatusOK, "image/svg+xml"},
		"/ui/absent.js":    {http.StatusNotFound, ""},
		"/ui/../ui.go":     {http.StatusNotFound, ""},
		"/ui/%2e%2e/ui.go": {http.StatusNotFound, ""},
	} {
		resp := get(t, http.MethodGet, path)
		if resp.StatusCode != want.status || !strings.HasPrefix(resp.Header.Get("Content-Type"), want.sort) {
			t.Errorf("%s: %s, %s", path, resp.Status, resp.Header.Get("Content-Type"))
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
	}
	if resp := get(t, http.MethodPost, "/ui/"); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %s, Allow %q", resp.Status, resp.Header.Get("Allow"))
	}
}

// TestNothingFromElsewhere: a site without a way out has all of the page, and what the
// cluster says never becomes markup.
func TestNothingFromElsewhere(t *testing.T) {
	elsewhere := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc|javascript:`)
	err := fs.WalkDir(static, "static", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := static.ReadFile(path)
		if err != nil {
			return err
		}
		// The name of SVG's namespace is no address.
		text := strings.ReplaceAll(string(data), "http://www.w3.org/2000/svg", "")
		if found := elsewhere.FindString(text); found != "" {
			t.Errorf("%s names %s", path, found)
		}
		if found := markup.FindString(text); found != "" {
			t.Errorf("%s has %s", path, found)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
