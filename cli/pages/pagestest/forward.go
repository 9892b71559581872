package pagestest

import (
	"errors"
	"io"
	"net"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// forward is the API server's and the kubelet's side: each pair of streams is one
// connection to the port.
func (a *API) forward(w http.ResponseWriter, r *http.Request, pod string) {
	a.mu.Lock()
	host, there := a.Extenders[pod]
	a.mu.Unlock()
	if !there {
		refuse(w, http.StatusNotFound, "NotFound", "there is no pod "+pod)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 8)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		if s.Headers().Get(corev1.PortHeader) != Port {
			return errors.New("another port")
		}
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer conn.Close()
	a.mu.Lock()
	a.forwarding[pod] = append(a.forwarding[pod], func() { _ = conn.Close() })
	a.mu.Unlock()
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				_ = s.Close()
				continue
			}
			go connect(s, host)
		}
	}
}

func connect(s httpstream.Stream, host string) {
	defer s.Close()
	to, err := net.Dial("tcp", host)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(to, s) }()
	_, _ = io.Copy(s, to)
}
