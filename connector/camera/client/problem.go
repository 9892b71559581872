package client

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Problem is an answer that refuses, as RFC 9457 has it.
type Problem struct {
	Status int
	Detail string
	// RetryAfter is how long the connector asks to wait, 0 if it does not say.
	RetryAfter time.Duration
}

func (p *Problem) Error() string {
	return fmt.Sprintf("the connector answers %d: %s", p.Status, p.Detail)
}

// problem reads the answer. One that is no problem document is quoted.
func problem(resp *http.Response) *Problem {
	p := &Problem{Status: resp.StatusCode}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	const most = 16 << 10
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		p.Detail = err.Error()
		return p
	}
	var doc struct {
		Detail string
		Errors []struct{ Message, Location string }
	}
	if json.Unmarshal(body, &doc) != nil {
		const quoted = 200
		p.Detail = cmp.Or(strings.TrimSpace(string(body[:min(len(body), quoted)])), http.StatusText(p.Status))
		return p
	}
	p.Detail = cmp.Or(doc.Detail, http.StatusText(p.Status))
	for _, e := range doc.Errors {
		p.Detail += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	return p
}

// lasting reports whether nothing but another request will help.
func (p *Problem) lasting() bool {
	switch p.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return p.Status < http.StatusInternalServerError
}
