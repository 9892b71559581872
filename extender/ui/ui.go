package ui

import (
	"embed"
	"io/fs"
	"net/http"
)

// Path is where the live page is.
const Path = "/ui"

//go:embed static
var static embed.FS

// policy lets a browser load nothing that is not from here, and run no program but ours:
// what is shown was written by whoever creates pods.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at Path.
func Handler() http.Handler {
	root, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the directory is in the binary
	}
	files := http.StripPrefix(Path, http.FileServerFS(root))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // another version of the extender has another page
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "the live page is only to be looked at: use GET", http.StatusMethodNotAllowed)
		case r.URL.Path == Path:
			http.Redirect(w, r, Path+"/", http.StatusPermanentRedirect)
		default:
			files.ServeHTTP(w, r)
		}
	})
}
