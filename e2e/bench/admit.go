package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/e2e/poll"
)

// admitLabel is on the pods that the instant webhook gets, for which they have no
// annotation, as the installation's own would get them too.
const admitLabel = "bench-instant"

// patches is the mutating webhook that does the least: it has one patch for every pod,
// which writes as much as ours does, and does not read what it is sent but for its UID.
type patches struct {
	server *httptest.Server
	patch  []byte
}

// instantWebhook registers a webhook that gives every pod of its label what given has,
// and waits until the API server asks it. Close ends it.
func (x *site) instantWebhook(ctx context.Context, given *corev1.Pod) (*patches, error) {
	// Under the names of the installation's annotations its policies would apply.
	written := map[string]string{"bench/kept": "yes"}
	for name, value := range given.Annotations {
		written["bench/"+name[len("heteroaccel.io/"):]] = value
	}
	patch, err := json.Marshal([]any{
		map[string]any{"op": "replace", "path": "/spec/containers/0", "value": given.Spec.Containers[0]},
		map[string]any{"op": "add", "path": "/metadata/annotations", "value": written},
	})
	if err != nil {
		return nil, err
	}
	w := &patches{patch: patch}
	w.server = httptest.NewUnstartedServer(w)
	w.server.EnableHTTP2 = true
	w.server.StartTLS()
	if err := x.register(ctx, w); err != nil {
		w.server.Close()
		return nil, fmt.Errorf("register a webhook that answers at once: %w", err)
	}
	return w, nil
}

// register has the API server ask w.
func (x *site) register(ctx context.Context, w *patches) error {
	configurations := x.Client().AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := configurations.Create(ctx, &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: admitLabel},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "instant.bench.example",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      &w.server.URL,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
			ObjectSelector:          &metav1.LabelSelector{MatchLabels: map[string]string{admitLabel: "yes"}},
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return poll.Within(ctx, limit, func(ctx context.Context) error {
		p := load{}.pod("")
		p.GenerateName, p.Labels = "probe-", map[string]string{admitLabel: "yes"}
		got, err := x.Client().CoreV1().Pods(namespace).Create(ctx, p, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && got.Annotations["bench/kept"] == "" {
			err = fmt.Errorf("the API server has not asked it yet")
		}
		return err
	})
}

// unregister has the API server ask w no longer, and ends it.
func (x *site) unregister(ctx context.Context, w *patches) error {
	err := x.Client().AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(ctx, admitLabel, metav1.DeleteOptions{})
	w.server.Close()
	return err
}

func (w *patches) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	uid, err := uidOf(r.Body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body) // else the connection could not be used again
	out.Header().Set("Content-Type", "application/json")
	// The API server notices what it does not get.
	_ = json.NewEncoder(out).Encode(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Response: &admissionv1.AdmissionResponse{UID: uid, Allowed: true, Patch: w.patch, PatchType: new(admissionv1.PatchTypeJSONPatch)},
	})
}

// uidOf reads a review as far as the UID of its request, which the API server writes
// before the pod.
func uidOf(review io.Reader) (types.UID, error) {
	in := json.NewDecoder(review)
	for {
		token, err := in.Token()
		if err != nil {
			return "", fmt.Errorf("the review has no UID: %w", err)
		}
		if token == "uid" {
			var uid types.UID
			return uid, in.Decode(&uid)
		}
	}
}
