// Package curl does what a curl command of a page says, since not every machine
// has curl.
//
// The command enters as it is typed, with the variables that it names; the body of
// the answer leaves. It knows the few flags that the pages use, and refuses others.
package curl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/pflag"
	"mvdan.cc/sh/v3/shell"
)

// Run sends the request of a command and returns the answer's body. An answer of
// 400 or more is an error that quotes it: curl would print it, but no page shows
// one.
func Run(ctx context.Context, command string, variable func(name string) string) (string, error) {
	r, err := Request(ctx, command, variable)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", r.URL, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return string(body), fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// Request is what a command sends. Unlike curl it refuses a variable that is not
// set.
func Request(ctx context.Context, command string, variable func(name string) string) (*http.Request, error) {
	var unset []string
	words, err := shell.Fields(command, func(name string) string {
		value := variable(name)
		if value == "" && strings.Contains(command, "$"+name) { // the reader asks for others besides
			unset = append(unset, name)
		}
		return value
	})
	if err != nil {
		return nil, fmt.Errorf("read the command: %w", err)
	}
	if len(unset) > 0 {
		return nil, fmt.Errorf("$%s is not set", strings.Join(unset, ", $"))
	}
	if len(words) == 0 || words[0] != "curl" {
		return nil, errors.New("the command is not curl")
	}
	fs := pflag.NewFlagSet("curl", pflag.ContinueOnError)
	fs.BoolP("silent", "s", false, "")
	method := fs.StringP("request", "X", "", "")
	headers := fs.StringArrayP("header", "H", nil, "")
	data := fs.StringP("data", "d", "", "")
	if err := fs.Parse(words[1:]); err != nil {
		return nil, fmt.Errorf("read the command: %w", err)
	}
	if fs.NArg() != 1 {
		return nil, fmt.Errorf("the command names %d URLs, want 1", fs.NArg())
	}
	if *method == "" {
		*method = http.MethodGet
		if *data != "" {
			*method = http.MethodPost
		}
	}
	r, err := http.NewRequestWithContext(ctx, *method, fs.Arg(0), strings.NewReader(*data))
	if err != nil {
		return nil, err
	}
	if *data != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // curl's own, unless a header says otherwise
	}
	for _, h := range *headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, fmt.Errorf("the header %q has no colon", h)
		}
		r.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return r, nil
}
