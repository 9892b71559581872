package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config is what a Client needs.
type Config struct {
	// URL is where the connector is, such as http://connector:8090.
	URL string
	// HTTP sends the requests, without a time-out of its own: streams last. Nil
	// for http.DefaultClient.
	HTTP *http.Client
	// Token is read for each request, since tokens are renewed; nil for none.
	Token func() (string, error)
	// Retrying is told why a call is repeated, and after which pause; may be nil.
	Retrying func(err error, pause time.Duration)
}

// Client asks a connector. It is safe for concurrent use.
type Client struct {
	Config
}

// New returns a client. It makes no request.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no address of a connector: give one like http://connector:8090", c.URL)
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	if c.HTTP == nil {
		c.HTTP = http.DefaultClient
	}
	return &Client{c}, nil
}

// Request is what is asked for. What is zero is left out.
type Request struct {
	Inference   string            `json:"inference"`
	Accelerator string            `json:"accelerator,omitempty"`
	TTL         string            `json:"ttl,omitempty"`
	Near        string            `json:"near,omitempty"`
	Priority    int32             `json:"priority,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// Session is a session as the connector tells it; times and lengths are those of
// the connector's clock.
type Session struct {
	ID          string `json:"id"`
	State       string `json:"state"`
	Inference   string `json:"inference"`
	Accelerator string `json:"accelerator"`
	// Address is HOST:PORT of the inference server and URL that with its scheme,
	// "" while it waits.
	Address string  `json:"address"`
	URL     string  `json:"url"`
	Node    string  `json:"node"`
	Kind    string  `json:"kind"`
	Device  *string `json:"device"` // nil until telemetry shows it
	Pod     string  `json:"pod"`
	Reason  string  `json:"reason"`
	// Position is its place among the Waiting sessions of its queue, 1 for the
	// first; 0 when it is served.
	Position int `json:"position"`
	Waiting  int `json:"waiting"`
	// TTL is how long it lives without being renewed, such as 1m0s.
	TTL     string    `json:"ttl"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Moves   int       `json:"moves"`
}

// ErrEnded is that the session has ended, or never was.
var ErrEnded = errors.New("the session has ended")

// callLimit bounds a call that is not a stream.
const callLimit = 15 * time.Second

// Create asks for a session, once. wait is how long the answer may take to come
// with a server, up to a minute, in whole seconds.
func (c *Client) Create(ctx context.Context, ask Request, wait time.Duration) (Session, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return Session{}, fmt.Errorf("encode the request: %w", err)
	}
	var prefer string
	if wait > 0 {
		prefer = fmt.Sprintf("wait=%d", int(wait/time.Second))
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit+wait)
	defer cancel()
	s, err := c.call(ctx, http.MethodPost, "/v1/sessions", body, prefer)
	if err != nil {
		return s, fmt.Errorf("ask for a session: %w", err)
	}
	return s, nil
}

// Get reads a session, once.
func (c *Client) Get(ctx context.Context, id string) (Session, error) {
	s, err := c.one(ctx, http.MethodGet, id, "")
	if err != nil {
		return s, fmt.Errorf("read the session: %w", err)
	}
	return s, nil
}

// Renew keeps a session for another ttl, once.
func (c *Client) Renew(ctx context.Context, id string) (Session, error) {
	s, err := c.one(ctx, http.MethodPost, id, "/renew")
	if err != nil {
		return s, fmt.Errorf("renew the session: %w", err)
	}
	return s, nil
}

// End ends a session, once. That it has ended already is no error.
func (c *Client) End(ctx context.Context, id string) error {
	if _, err := c.one(ctx, http.MethodDelete, id, ""); err != nil && !errors.Is(err, ErrEnded) {
		return fmt.Errorf("end the session: %w", err)
	}
	return nil
}

// one calls an operation of one session.
func (c *Client) one(ctx context.Context, method, id, operation string) (Session, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	s, err := c.call(ctx, method, "/v1/sessions/"+url.PathEscape(id)+operation, nil, "")
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return s, ErrEnded
	}
	return s, err
}

func (c *Client) call(ctx context.Context, method, path string, body []byte, prefer string) (s Session, err error) {
	r, err := c.request(ctx, method, path, body)
	if err != nil {
		return s, err
	}
	if prefer != "" {
		r.Header.Set("Prefer", prefer)
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		return s, problem(resp)
	}
	const most = 1 << 20
	content, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil || len(content) == 0 {
		return s, err
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return s, fmt.Errorf("read the answer of %s: %w: is a connector there?", c.URL, err)
	}
	return s, nil
}

func (c *Client) request(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.Token != nil {
		token, err := c.Token()
		if err != nil {
			return nil, noToken{err}
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r, nil
}
