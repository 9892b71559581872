package edge

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/connector/camera/client"
)

const (
	connector = "heteroaccel-connector"
	// sessions is the namespace of the sessions and their servers.
	sessions = "heteroaccel-sessions"
	// ClientImage sends pictures to inference servers.
	ClientImage = "heteroaccel/inference-client:v0.1.0"
)

// NewClient makes the service account of a name in the default namespace, and a
// client of the connector with a token of it for a day.
func (e *Edge) NewClient(ctx context.Context, name string) (c *client.Client, token string, err error) {
	accounts := e.Client().CoreV1().ServiceAccounts(metav1.NamespaceDefault)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := accounts.Create(ctx, account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, "", fmt.Errorf("create the client %s: %w", name, err)
	}
	if token, err = e.tokenOf(ctx, name); err != nil {
		return nil, "", err
	}
	c, err = client.New(client.Config{URL: e.Connector, Token: func() (string, error) { return token, nil }})
	return c, token, err
}

// tokenOf creates a token of a service account of the default namespace, for as long
// as somebody looks around.
func (e *Edge) tokenOf(ctx context.Context, name string) (string, error) {
	day := int64(24 * time.Hour / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &day}}
	got, err := e.Client().CoreV1().ServiceAccounts(metav1.NamespaceDefault).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("create a token of %s: %w", name, err)
	}
	return got.Status.Token, nil
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
