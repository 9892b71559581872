package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Error is an answer of the extender that is no page.
type Error struct {
	Path   string
	Status int
	// Sentence is the extender's own.
	Sentence string
}

func (e *Error) Error() string {
	return fmt.Sprintf("the extender's page %s: %d %s: %s", e.Path, e.Status, http.StatusText(e.Status), e.Sentence)
}

// JSON reads a page as JSON, and Text as text for a terminal.
func (c *Client) JSON(ctx context.Context, path string) ([]byte, error) {
	return c.read(ctx, path, "application/json")
}

func (c *Client) Text(ctx context.Context, path string) ([]byte, error) {
	return c.read(ctx, path, "text/plain")
}

// Get reads a page into a value.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	body, err := c.JSON(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the extender's page %s: %w", path, err)
	}
	return nil
}

// maxPage bounds what is read of one page, in bytes.
const maxPage = 64 << 20

func (c *Client) read(ctx context.Context, path, accept string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+path, nil)
	if err != nil {
		return nil, fmt.Errorf("read the extender's page %s: %w", path, err)
	}
	req.Header.Set("Accept", accept)
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read the extender's page %s: %w", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return nil, fmt.Errorf("read the extender's page %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &Error{path, resp.StatusCode, sentence(body)}
	}
	return body, nil
}

// sentence is what the body of a refusal says.
func sentence(body []byte) string {
	var refusal struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &refusal); err == nil && refusal.Error != "" {
		return refusal.Error
	}
	return strings.TrimSpace(string(body))
}
