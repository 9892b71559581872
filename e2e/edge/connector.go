package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	connector = "heteroaccel-connector"
	// sessions is the namespace of the sessions and their servers.
	sessions = "heteroaccel-sessions"
	// ClientImage sends pictures to inference servers.
	ClientImage = "heteroaccel/inference-client:v0.1.0"
)

// Session is what the connector answers.
type Session struct {
	ID, State, Inference, Address, Node, Kind, Pod, Reason string

	Device *string
	Moves  int
}

// Client is one of the connector's clients: a service account.
type Client struct {
	Token string

	connector string
	http      *http.Client
}

// NewClient makes the service account of a name in the default namespace, and a
// token of it for an hour.
func (e *Edge) NewClient(ctx context.Context, name string) (*Client, error) {
	accounts := e.Client().CoreV1().ServiceAccounts(metav1.NamespaceDefault)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := accounts.Create(ctx, account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("create the client %s: %w", name, err)
	}
	hour := int64(time.Hour / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}
	token, err := accounts.CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("create a token of the client %s: %w", name, err)
	}
	// Longer than the longest that the connector lets a client wait.
	return &Client{Token: token.Status.Token, connector: e.Connector, http: &http.Client{Timeout: 90 * time.Second}}, nil
}

// Create asks for an inference and waits for its server, a minute at most; then
// the session still waits.
func (c *Client) Create(ctx context.Context, body string) (Session, error) {
	return c.do(ctx, http.MethodPost, "/v1/sessions", body)
}

// Session reads a session.
func (c *Client) Session(ctx context.Context, id string) (Session, error) {
	return c.do(ctx, http.MethodGet, "/v1/sessions/"+id, "")
}

// End ends a session.
func (c *Client) End(ctx context.Context, id string) error {
	_, err := c.do(ctx, http.MethodDelete, "/v1/sessions/"+id, "")
	return err
}

func (c *Client) do(ctx context.Context, method, path, body string) (Session, error) {
	var s Session
	req, err := http.NewRequestWithContext(ctx, method, c.connector+path, strings.NewReader(body))
	if err != nil {
		return s, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=60")
	resp, err := c.http.Do(req)
	if err != nil {
		return s, err // it names the URL
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return s, fmt.Errorf("read the connector's answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return s, fmt.Errorf("%s %s: the connector answered %s: %s", method, path, resp.Status, content)
	}
	if len(content) > 0 {
		if err := json.Unmarshal(content, &s); err != nil {
			return s, fmt.Errorf("read the connector's answer: %w", err)
		}
	}
	return s, nil
}

// Say runs a pod of ClientImage with these arguments to its end, and returns
// what it printed.
func (e *Edge) Say(ctx context.Context, name string, args ...string) (said string, err error) {
	pods := e.Client().CoreV1().Pods(metav1.NamespaceDefault)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "client", Image: ClientImage, Args: args}},
		},
	}
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return "", fmt.Errorf("create the client's pod: %w", err)
	}
	defer func() {
		now := int64(0)
		if gone := pods.Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err == nil {
			err = gone
		}
	}()
	var phase corev1.PodPhase
	err = e.Wait(ctx, func(ctx context.Context) error {
		p, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if phase = p.Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
			return fmt.Errorf("the client's pod is %s", phase)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if said, err = e.Kubectl(ctx, "logs", name); err == nil && phase != corev1.PodSucceeded {
		err = fmt.Errorf("the client failed: %s", said)
	}
	return said, err
}
