package deploy_test

import (
	"encoding/json"
	"strings"
	"testing"

	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// TestWebhookClientCA: with the component the webhook asks for a certificate that the
// mounted CA signed, and its probes and metrics stay as they are.
func TestWebhookClientCA(t *testing.T) {
	rendered := string(render(t, "testdata/webhook-client-ca"))
	for _, want := range []string{
		"- --client-ca-file=/client-ca/ca.crt", "- --client-allowed-names=front-proxy-client,system:auth-proxy", "mountPath: /client-ca",
		"- --policy=priced-finish", "- --health-probe-bind-address=:8081", // arguments of the base
	} {
		if !strings.Contains(rendered, want) {
			t.Errorf("there is no %q", want)
		}
	}
	if strings.Contains(rendered, "scheme: HTTPS") {
		t.Error("a probe speaks HTTPS: it has no certificate to show")
	}
}

// TestAPIServer: the API server's files name one another and the host that the
// registration names.
func TestAPIServer(t *testing.T) {
	config := decode(t, read(t, "apiserver/admission.yaml"))[0].(*apiserverv1.AdmissionConfiguration)
	var plugin struct{ KubeConfigFile string }
	if err := json.Unmarshal(config.Plugins[0].Configuration.Raw, &plugin); err != nil {
		t.Fatal(err)
	}
	if plugin.KubeConfigFile != "/etc/kubernetes/admission/webhooks.kubeconfig" || config.Plugins[0].Name != "MutatingAdmissionWebhook" {
		t.Errorf("the plugin %s reads %s", config.Plugins[0].Name, plugin.KubeConfigFile)
	}
	shown, err := clientcmd.Load(read(t, "apiserver/webhooks.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	if user := shown.AuthInfos["heteroaccel-webhook.heteroaccel-system.svc"]; user == nil || user.ClientCertificate == "" || user.ClientKey == "" {
		t.Errorf("the users are %v", shown.AuthInfos)
	}
}
