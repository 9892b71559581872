package main

import (
	"encoding/json"
	"net/http"

	"heteroaccel.io/e2e/serving/load"
)

// server answers with who it is. It is ready unless it runs on a device that is unreadyOn.
func server(who load.Answer, unreadyOn string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if unreadyOn != "" && who.Device == unreadyOn {
			http.Error(w, "it is never ready on "+unreadyOn, http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(who) // whoever asked has gone
	})
	return mux
}
