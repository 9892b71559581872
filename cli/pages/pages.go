package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

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

// Replica reads the pages that say how the extender is.
func (c *Client) Replica(ctx context.Context) (Replica, error) {
	r := Replica{Name: c.Name}
	var index struct {
		Bypassed []struct {
			Message string `json:"message"`
		} `json:"bypassed"`
	}
	if err := c.Get(ctx, "/", &index); err != nil {
		return r, err
	}
	for _, b := range index.Bypassed {
		r.Bypassed = append(r.Bypassed, b.Message)
	}
	var nodes Nodes
	if err := c.Get(ctx, "/nodes", &nodes); err != nil {
		return r, err
	}
	r.Nodes = nodes.Nodes
	return r, nil
}

// PodPath is where the page of a pod is, and NodePath that of a node.
func PodPath(namespace, name string) string {
	return "/pods/" + url.PathEscape(namespace) + "/" + url.PathEscape(name)
}

func NodePath(name string) string { return "/nodes/" + url.PathEscape(name) }

// Asked is what the extender says of a pod.
func (c *Client) Asked(ctx context.Context, namespace, name string) (Asked, error) {
	a := Asked{Replica: c.Name}
	err := c.Get(ctx, PodPath(namespace, name), &a)
	if refused := new(Error); errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return a, nil
	}
	return a, err
}

// maxPods is how many pods' pages are read for the last question.
const maxPods = 50

// LastQuestion is how long ago kube-scheduler asked about any pod of ours that still
// exists, and which; "" if no question is remembered.
func (c *Client) LastQuestion(ctx context.Context) (ago time.Duration, pod string, err error) {
	var list Pods
	if err := c.Get(ctx, "/pods", &list); err != nil {
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
