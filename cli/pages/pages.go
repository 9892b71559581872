package pages

import (
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

// Node is a node, as far as we read it.
type Node struct {
	Name      string   `json:"name"`
	Cordoned  bool     `json:"cordoned"`
	Taints    []string `json:"taints"`
	Conflict  string   `json:"conflict"`
	Telemetry *struct {
		AgeSeconds float64 `json:"ageSeconds"`
		Fresh      bool    `json:"fresh"`
	} `json:"telemetry"`
	Resources []struct {
		Resource string `json:"resource"`
		Usable   int64  `json:"usable"`
	} `json:"resources"`
	Devices []struct {
		Kind     string `json:"kind"`
		ID       string `json:"id"`
		Resource string `json:"resource"`
		Healthy  *bool  `json:"healthy"`
	} `json:"devices"`
}

// Replica is what the pages of one extender say.
type Replica struct {
	// Name is that of its pod, or its URL.
	Name string
	// Bypassed are sentences on resources about which kube-scheduler did not ask.
	Bypassed []string
	Nodes    []Node
}

// Asked is what one extender says of kube-scheduler's questions about a pod.
type Asked struct {
	// Replica is the extender's name.
	Replica string `json:"-"`
	// Asked is yes, no or unknown; "" while the extender does not know the pod.
	Asked   string `json:"asked"`
	Message string `json:"askedMessage"`
	Node    string `json:"node"`
	Filter  *struct {
		AgeSeconds float64 `json:"ageSeconds"`
	} `json:"filter"`
}

// Client reads the pages of one extender.
type Client struct {
	Name string
	// URL is where they are, without a path.
	URL  string
	HTTP *http.Client
}

// errMissing is the error of a page about something that the extender does not know.
var errMissing = errors.New("it is unknown there")

// Replica reads the pages that say how the extender is.
func (c *Client) Replica(ctx context.Context) (Replica, error) {
	r := Replica{Name: c.Name}
	var index struct {
		Bypassed []struct {
			Message string `json:"message"`
		} `json:"bypassed"`
	}
	if err := c.get(ctx, "/", &index); err != nil {
		return r, err
	}
	for _, b := range index.Bypassed {
		r.Bypassed = append(r.Bypassed, b.Message)
	}
	var nodes struct {
		Nodes []Node `json:"nodes"`
	}
	if err := c.get(ctx, "/nodes", &nodes); err != nil {
		return r, err
	}
	r.Nodes = nodes.Nodes
	return r, nil
}

// Asked is what the extender says of a pod.
func (c *Client) Asked(ctx context.Context, namespace, name string) (Asked, error) {
	a := Asked{Replica: c.Name}
	err := c.get(ctx, "/pods/"+url.PathEscape(namespace)+"/"+url.PathEscape(name), &a)
	if errors.Is(err, errMissing) {
		return a, nil
	}
	return a, err
}

// maxPods is how many pods' pages are read for the last question.
const maxPods = 50

// LastQuestion is how long ago kube-scheduler asked about any pod of ours that still
// exists, and which; "" if no question is remembered.
func (c *Client) LastQuestion(ctx context.Context) (ago time.Duration, pod string, err error) {
	var list struct {
		Pods []struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"pods"`
	}
	if err := c.get(ctx, "/pods", &list); err != nil {
		return 0, "", err
	}
	for i, p := range list.Pods {
		if i == maxPods {
			break
		}
		a, err := c.Asked(ctx, p.Namespace, p.Name)
		if err != nil {
			return 0, "", err
		}
		if a.Filter == nil {
			continue
		}
		if age := time.Duration(a.Filter.AgeSeconds * float64(time.Second)); pod == "" || age < ago {
			ago, pod = age, p.Namespace+"/"+p.Name
		}
	}
	return ago, pod, nil
}

// maxPage bounds what is read of one page, in bytes.
const maxPage = 64 << 20

func (c *Client) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+path, nil)
	if err != nil {
		return fmt.Errorf("read the extender's page %s: %w", path, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("read the extender's page %s: %w", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	switch {
	case err != nil:
		return fmt.Errorf("read the extender's page %s: %w", path, err)
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("the extender's page %s: %w", path, errMissing)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the extender's page %s: %s: %s", path, resp.Status, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the extender's page %s: %w", path, err)
	}
	return nil
}
