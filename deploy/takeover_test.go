package deploy_test

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"heteroaccel.io/pkg/leader"
)

// TestTakeOver: a review that comes when the leader is killed can wait for the next one.
func TestTakeOver(t *testing.T) {
	var election leader.Flags
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.ParseErrorsAllowlist.UnknownFlags = true
	election.Add(fs, "a")
	timeout := time.Duration(0)
	for _, obj := range decode(t, render(t, "base")) {
		switch o := obj.(type) {
		case *appsv1.Deployment:
			if o.Name != "heteroaccel-webhook" {
				continue
			}
			if err := fs.Parse(o.Spec.Template.Spec.Containers[0].Args); err != nil {
				t.Fatal(err)
			}
			if r := o.Spec.Strategy.RollingUpdate; *r.MaxUnavailable != intstr.FromInt32(0) || *r.MaxSurge != intstr.FromInt32(1) || *o.Spec.Replicas < 2 {
				t.Errorf("%d replicas, %s unavailable and %s more in a rollout: a replica that is killed then may be the only one", *o.Spec.Replicas, r.MaxUnavailable, r.MaxSurge)
			}
		case *admissionv1.MutatingWebhookConfiguration:
			timeout = time.Duration(*o.Webhooks[0].TimeoutSeconds) * time.Second
		}
	}
	if want := election.LeaseDuration + election.RetryPeriod + 2*time.Second; timeout < want {
		t.Errorf("the API server waits %s for the webhook, want %s: the lease, a retry and 2 s", timeout, want)
	}
	if over := election.TakeOver(); over+2*time.Second > timeout {
		t.Errorf("another replica leads %s after the last renewal, and the API server waits %s", over, timeout)
	}
}
