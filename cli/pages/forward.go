package pages

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	streamhttp "k8s.io/streaming/pkg/httpstream"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// requestTimeout bounds one page.
const requestTimeout = 20 * time.Second

// At is a client of pages at a URL.
func At(base string) *Client {
	return &Client{Name: base, URL: base, HTTP: &http.Client{Timeout: requestTimeout}}
}

// Forward forwards a port of a pod, as kubectl port-forward does, with the rights of
// config, until ctx ends. The error is the API server's where it refuses.
func Forward(ctx context.Context, config *rest.Config, namespace, pod string, port int) (*Client, error) {
	client, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("forward a port of %s: %w", pod, err)
	}
	at := client.RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	dialer, err := dial(config, at)
	if err != nil {
		return nil, fmt.Errorf("forward a port of %s: %w", pod, err)
	}
	ready := make(chan struct{})
	f, err := portforward.NewOnAddressesForStreamingWithContext(ctx, dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, ready, io.Discard, io.Discard)
	if err != nil {
		return nil, fmt.Errorf("forward a port of %s: %w", pod, err)
	}
	var failed error
	var ended sync.WaitGroup
	over := make(chan struct{})
	ended.Go(func() {
		defer close(over)
		failed = f.ForwardPorts()
	})
	select {
	case <-ready:
	case <-over:
		return nil, failed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ports, err := f.GetPorts()
	if err != nil {
		return nil, fmt.Errorf("forward a port of %s: %w", pod, err)
	}
	c := At(fmt.Sprintf("http://127.0.0.1:%d", ports[0].Local))
	c.Name = pod
	return c, nil
}

// dial tries a WebSocket first, and SPDY where something on the way knows none.
func dial(config *rest.Config, at *url.URL) (streamhttp.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	newer, err := portforward.NewSPDYOverWebsocketDialerForStreaming(at, config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialerForStreaming(newer, older, func(err error) bool {
		return streamhttp.IsUpgradeFailure(err) || streamhttp.IsHTTPSProxyError(err)
	}), nil
}
