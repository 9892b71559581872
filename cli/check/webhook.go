package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"heteroaccel.io/pkg/accel"
)

// registration judges what the API server was told of the webhook.
func registration(c *Cluster) []Line {
	const check = "registration"
	if c.Registration.Err != nil {
		return []Line{unread(check, c.Registration.Err, "read MutatingWebhookConfigurations", "the webhook is not registered: the API server does not call it for annotated pods", c.install())}
	}
	hooks := c.Registration.Value.Webhooks
	switch {
	case len(hooks) == 0:
		return []Line{wrong(check, c.install(), "the registration %s has no webhook in it", RegistrationName)}
	case len(hooks[0].ClientConfig.CABundle) == 0:
		return []Line{wrong(check, c.logs(Webhook), "the registration has no caBundle: the webhook writes it when it starts, or cert-manager's cainjector does")}
	case hooks[0].FailurePolicy != nil && *hooks[0].FailurePolicy != admissionv1.Fail:
		return []Line{wrong(check, c.install(), "the registration's failurePolicy is %s: pods pass without a kind while the webhook is away", *hooks[0].FailurePolicy)}
	}
	return []Line{ok(check, "the webhook is registered, with a caBundle")}
}

// logs is the command that shows what a program says.
func (c *Cluster) logs(program string) string {
	return fmt.Sprintf("kubectl -n %s logs deployment/%s", c.System, program)
}

// webhook judges whether the webhook runs behind its Service.
func webhook(c *Cluster) []Line {
	hooks := c.Registration.Value
	if c.Registration.Err == nil && len(hooks.Webhooks) > 0 && hooks.Webhooks[0].ClientConfig.Service == nil {
		url := ""
		if u := hooks.Webhooks[0].ClientConfig.URL; u != nil {
			url = *u
		}
		return []Line{ok("webhook", "it is registered at %s, and not behind a Service", url)}
	}
	return program(c, "webhook", Webhook)
}

// program judges a Deployment and its Service.
func program(c *Cluster, check, name string) []Line {
	describe := fmt.Sprintf("kubectl -n %s describe deployment,pods -l app.kubernetes.io/name=%s", c.System, name)
	if p := c.Programs[name]; p.Err != nil {
		return []Line{unread(check, p.Err, "read Deployments in "+c.System, "the Deployment "+name+" is missing", c.install())}
	}
	ready := c.Ready[name]
	switch {
	case ready.Err != nil:
		return []Line{unread(check, ready.Err, "list EndpointSlices in "+c.System, "the Service "+name+" is missing", c.install())}
	case ready.Value == 0:
		return []Line{wrong(check, describe, "no pod of %s is ready", name)}
	case ready.Value < c.Programs[name].Value.Desired:
		return []Line{wrong(check, describe, "only %d of %s of %s are ready", ready.Value, count(c.Programs[name].Value.Desired, "pod"), name)}
	}
	return []Line{ok(check, "%s behind the Service %s", count(ready.Value, "ready pod"), name)}
}

// trials judges what the API server did with two pods, in dry runs. Who decides about
// pods is asked, so certificate, caBundle, network and webhook are right if it answers.
func trials(c *Cluster) []Line {
	return []Line{mutated(c), refused(c)}
}

func mutated(c *Cluster) Line {
	const check = "admission"
	if err := c.Mutated.Err; err != nil {
		return c.tried(check, err)
	}
	a := c.Mutated.Value.Annotations
	if a[accel.SelectedAnnotation] == "" || a[accel.OriginalAnnotation] == "" {
		return wrong(check, c.install(), "a pod that asks for an accelerator passed and got none: the API server did not call the webhook, and the backstop policy let it through")
	}
	return ok(check, "a pod that asks for %s would get %s (dry run in %s)", a[accel.InferenceAnnotation], a[accel.SelectedAnnotation], c.Namespace)
}

func refused(c *Cluster) Line {
	const check = "refusal"
	err := c.Unknown.Err
	switch {
	case err == nil:
		return wrong(check, c.install(), "a pod that asks for an unknown inference would be created: the API server did not call the webhook")
	case Denied(err):
		return ok(check, "a pod that asks for an unknown inference would be refused (dry run in %s)", c.Namespace)
	}
	return c.tried(check, err)
}

// Denied reports whether the webhook itself refused a pod.
func Denied(err error) bool {
	return strings.Contains(err.Error(), "pods.heteroaccel.io") && strings.Contains(err.Error(), "denied the request")
}

// tried is the line for a pod that the API server did not let in, by who stopped it.
func (c *Cluster) tried(check string, err error) Line {
	text := err.Error()
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	switch {
	case errors.Is(err, ErrNotAsked):
		return notChecked(check, "%v", err)
	case has("ValidatingAdmissionPolicy '" + BackstopName + "'"):
		return wrong(check, c.install(), "the API server did not call the webhook, and the backstop policy refused the pod: the registration is missing, or leaves out namespace %s", c.Namespace)
	case has("failed calling webhook") && has("x509:", "certificate"):
		return wrong(check, c.logs(Webhook), "the API server does not trust the webhook's certificate: the caBundle of the registration is not of the CA that issued it; the webhook corrects it within seconds unless it does not run or may not (with cert-manager: kubectl -n %s describe certificate). It says: %s", c.System, text)
	case has("failed calling webhook"):
		return wrong(check, fmt.Sprintf("kubectl -n %s get pods,endpointslices", c.System), "the API server cannot reach the webhook: %s", text)
	case Denied(err):
		return wrong(check, "kubectl get inferenceprofiles", "the webhook refused a pod that asks for a profile that there is: %s", text)
	case mayNotCreate(err):
		return notChecked(check, "you may not create pods in namespace %s: choose another with --namespace", c.Namespace)
	case apierrors.IsNotFound(err):
		return wrong(check, "", "there is no namespace %s: choose another with --namespace", c.Namespace)
	}
	return notChecked(check, "somebody else refused the pod: choose another namespace with --namespace. The API server says: %s", text)
}

// mayNotCreate reports whether the caller has no right to create pods.
func mayNotCreate(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "cannot create resource")
}

// backstop judges the policy that refuses pods without a chosen kind.
func backstop(c *Cluster) []Line {
	const check = "backstop"
	fix := c.install()
	if c.Policy.Err != nil {
		return []Line{unread(check, c.Policy.Err, "read ValidatingAdmissionPolicies", "the policy "+BackstopName+" is missing: pods without a chosen kind are not refused", fix)}
	}
	if c.Binding.Err != nil {
		return []Line{unread(check, c.Binding.Err, "read ValidatingAdmissionPolicyBindings", "the policy "+BackstopName+" is not bound: pods without a chosen kind are not refused", fix)}
	}
	b := c.Binding.Value.Spec
	if b.PolicyName != BackstopName || !slices.Contains(b.ValidationActions, admissionv1.Deny) {
		return []Line{wrong(check, fix, "the binding %s does not deny by the policy of that name", BackstopName)}
	}
	if t := c.Policy.Value.Status.TypeChecking; t != nil && len(t.ExpressionWarnings) > 0 {
		return []Line{wrong(check, fix, "the policy %s has an expression that does not compile: %s", BackstopName, t.ExpressionWarnings[0].Warning)}
	}
	return []Line{ok(check, "pods without a chosen kind are refused")}
}
