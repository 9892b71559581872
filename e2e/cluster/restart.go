package cluster

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// RestartAPIServer kills the API server, waits as long as the caller needs it to
// be away, and starts it at the address it had.
func (c *Cluster) RestartAPIServer(ctx context.Context, away func(context.Context) error) error {
	c.Process("kube-apiserver").Kill()
	if err := away(ctx); err != nil {
		return err
	}
	return c.startAPIServer(ctx, c.serverFlags, c.serverPort)
}

// KillScheduler kills the scheduler and starts it as it was.
func (c *Cluster) KillScheduler(ctx context.Context) error {
	c.Process("kube-scheduler").Kill()
	return c.startScheduler(ctx, c.extenders)
}

// KillControllerManager kills the controllers and starts them again.
func (c *Cluster) KillControllerManager(ctx context.Context) error {
	c.Process("kube-controller-manager").Kill()
	return c.startControllerManager(ctx)
}

// Compact has etcd forget all revisions but the present one, and returns it:
// watches that begin earlier than that get 410 Gone.
func (c *Cluster) Compact(ctx context.Context) (revision string, err error) {
	client, err := c.healthClient()
	if err != nil {
		return "", err
	}
	defer client.CloseIdleConnections()
	var now struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	everything := map[string]any{"key": base64.StdEncoding.EncodeToString([]byte{0}), "count_only": true}
	if err := c.etcd(ctx, client, "/v3/kv/range", everything, &now); err != nil {
		return "", err
	}
	compaction := map[string]any{"revision": now.Header.Revision, "physical": true}
	return now.Header.Revision, c.etcd(ctx, client, "/v3/kv/compaction", compaction, &struct{}{})
}

// etcd calls etcd's gateway for JSON.
func (c *Cluster) etcd(ctx context.Context, client *http.Client, path string, ask map[string]any, answer any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return fmt.Errorf("encode a request to etcd: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.etcdURL+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask etcd: %w", err)
	}
	resp, err := client.Do(r)
	if err != nil {
		return err // it names the URL
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read etcd's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd answers %s to %s: %s", resp.Status, path, content)
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return fmt.Errorf("read etcd's answer: %w", err)
	}
	return nil
}
