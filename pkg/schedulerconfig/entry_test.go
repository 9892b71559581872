package schedulerconfig

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
)

// TestTimeout: kube-scheduler waits for filter and then for prioritize, so an
// extender whose machine has vanished holds each pod up for a second, not four.
func TestTimeout(t *testing.T) {
	e := Entry(Endpoint{URL: "http://10.96.0.9:8888/scheduler"}, WellKnown)
	if e.HTTPTimeout.Duration != 500*time.Millisecond || !e.Ignorable {
		t.Errorf("httpTimeout %s, ignorable %v; want 500ms, true", e.HTTPTimeout.Duration, e.Ignorable)
	}
}

// TestTLS: without a CA kube-scheduler would verify nothing.
func TestTLS(t *testing.T) {
	ours := ServiceName("ours")
	if ours != "heteroaccel-extender.ours.svc" {
		t.Error(ours)
	}
	for name, tt := range map[string]struct {
		at   Endpoint
		want *schedulerv1.ExtenderTLSConfig
	}{
		"plain":      {Endpoint{}, nil},
		"TLS":        {Endpoint{ServerName: ours}, &schedulerv1.ExtenderTLSConfig{ServerName: ours, CAFile: CAFile}},
		"mutual TLS": {Endpoint{ServerName: ours, ClientCertificate: true}, &schedulerv1.ExtenderTLSConfig{ServerName: ours, CAFile: CAFile, CertFile: CertFile, KeyFile: KeyFile}},
	} {
		t.Run(name, func(t *testing.T) {
			e := Entry(tt.at, nil)
			if diff := cmp.Diff(tt.want, e.TLSConfig); diff != "" || e.EnableHTTPS != (tt.want != nil) {
				t.Errorf("HTTPS %v (-want +got):\n%s", e.EnableHTTPS, diff)
			}
		})
	}
}
