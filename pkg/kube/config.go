package kube

import (
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Config is how to reach the API server: by the kubeconfig file that the flags
// name, or as the pod's service account, or by the user's own kubeconfig.
func Config(f Flags, userAgent string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w; name a kubeconfig file with --kubeconfig", err)
	}
	config = rest.AddUserAgent(config, userAgent)
	config.QPS, config.Burst = f.QPS, f.Burst
	return config, nil
}

// Protobuf is config for the built-in types, which are smaller and faster in that
// encoding. Custom resources have JSON only.
func Protobuf(config *rest.Config) *rest.Config {
	c := rest.CopyConfig(config)
	c.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	c.ContentType = "application/vnd.kubernetes.protobuf"
	return c
}
