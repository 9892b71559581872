package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Metrics is the page of metrics of a program of the control plane, such as
// "kube-scheduler", in Prometheus' text format.
func (c *Cluster) Metrics(ctx context.Context, program string) (string, error) {
	c.mu.Lock()
	url := c.urls[program]
	c.mu.Unlock()
	client, err := c.healthClient()
	if err != nil {
		return "", err
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return "", fmt.Errorf("ask %s for its metrics: %w", program, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask %s for its metrics: %w", program, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask %s for its metrics: it answered %s", program, response.Status)
	}
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read the metrics of %s: %w", program, err)
	}
	return string(page), nil
}
