package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	sigsyaml "sigs.k8s.io/yaml"

	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/pkg/accel"
)

// Namespace is where the manifests put the programs, but for the exporters, which
// are in ExporterNamespace.
const (
	Namespace         = "heteroaccel-system"
	ExporterNamespace = "heteroaccel-exporter"
)

// configuration is the name of the MutatingWebhookConfiguration.
const configuration = "heteroaccel"

// install applies the project's manifests but for the workloads, which run as
// processes here, and registers the webhook by URL instead of by Service.
func (s *Stack) install(ctx context.Context) error {
	fmt.Fprintln(s.cfg.Out, "installing the CRD, the profiles, the RBAC and the webhook's registration")
	overlay := s.overlay()
	rendered, err := s.Kubectl(ctx, "kustomize", filepath.Join(s.root, overlay))
	if err != nil {
		return fmt.Errorf("render %s: %w: %s", overlay, err, rendered)
	}
	objects, err := decode([]byte(rendered))
	if err != nil {
		return fmt.Errorf("read %s: %w", overlay, err)
	}
	var base bytes.Buffer
	for _, o := range objects {
		switch o.GetKind() {
		case "Deployment", "DaemonSet", "Service":
			continue
		case "MutatingWebhookConfiguration":
			if o, err = s.byURL(o); err != nil {
				return err
			}
		}
		doc, err := sigsyaml.Marshal(o)
		if err != nil {
			return fmt.Errorf("write %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		base.WriteString("---\n")
		base.Write(doc)
	}
	file := filepath.Join(s.Dir(), "etc", "base.yaml")
	if err := os.WriteFile(file, base.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the manifests: %w", err)
	}
	if _, err := s.Kubectl(ctx, "apply", "--server-side", "-f", file); err != nil {
		return err
	}
	if err := s.Established(ctx, "inferenceprofiles.heteroaccel.io"); err != nil {
		return err
	}
	registry := filepath.Join("deploy", "registry")
	if s.cfg.Drive {
		registry = filepath.Join("e2e", "testdata", "late-registry")
	}
	_, err = s.Kubectl(ctx, "apply", "--server-side", "-k", filepath.Join(s.root, registry))
	return err
}

// Upgrade applies the manifests of another tree, and has the programs that start from
// now on be those of a directory. What runs goes on. It is called before anything else
// happens at the same time.
func (s *Stack) Upgrade(ctx context.Context, root, programs string) error {
	s.root, s.bin = root, programs
	return s.install(ctx)
}

// byURL points a webhook's registration at our process.
func (s *Stack) byURL(o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	var config admissionv1.MutatingWebhookConfiguration
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &config); err != nil {
		return nil, fmt.Errorf("read the webhook's registration: %w", err)
	}
	for i := range config.Webhooks {
		c := &config.Webhooks[i].ClientConfig
		if c.Service == nil || c.Service.Path == nil {
			return nil, errors.New("the webhook's registration names no Service with a path")
		}
		url := s.ReviewURL(s.registered, *c.Service.Path)
		c.Service, c.URL = nil, &url
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&config)
	if err != nil {
		return nil, fmt.Errorf("write the webhook's registration: %w", err)
	}
	return &unstructured.Unstructured{Object: object}, nil
}

// Register has the API server send its reviews to another replica of the
// webhook, or to a Service.
func (s *Stack) Register(ctx context.Context, replica string) error {
	s.registered = replica
	configs := s.Client().AdmissionregistrationV1().MutatingWebhookConfigurations()
	config, err := configs.Get(ctx, configuration, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the webhook's registration: %w", err)
	}
	for i := range config.Webhooks {
		c := &config.Webhooks[i].ClientConfig
		at, err := url.Parse(*c.URL)
		if err != nil {
			return fmt.Errorf("read the webhook's registration: %w", err)
		}
		to := s.ReviewURL(replica, at.Path)
		c.URL = &to
	}
	if _, err := configs.Update(ctx, config, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("register %s: %w", replica, err)
	}
	return s.waitRegistered(ctx)
}

// waitRegistered waits until the API server reaches the webhook: the caBundle
// is the webhook's own doing, and the API server takes a moment to notice.
func (s *Stack) waitRegistered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	return poll.Until(ctx, func(ctx context.Context) error {
		config, err := s.Client().AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, configuration, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, w := range config.Webhooks {
			if len(w.ClientConfig.CABundle) == 0 {
				return errors.New("the webhook has not written its caBundle yet")
			}
		}
		return Registered(ctx, s.Client())
	})
}

// Registered asks for a dry run of a pod that the webhook must refuse: only then
// do we know that the API server sends it reviews.
func Registered(ctx context.Context, client kubernetes.Interface) error {
	_, err := client.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "probe-",
			Annotations:  map[string]string{accel.AcceleratorAnnotation: "any"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "probe"}}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case err == nil:
		return errors.New("the API server does not ask the webhook yet")
	case strings.Contains(err.Error(), "denied the request"):
		return nil
	}
	return err
}

// Extenders is the extender of the scheduler's configuration under deploy/, at our
// process' address.
func (s *Stack) Extenders() ([]schedulerv1.Extender, error) {
	extenders, err := Extenders(s.root)
	for i := range extenders {
		e := &extenders[i]
		e.URLPrefix = s.URL("extender verbs", "/scheduler")
		e.EnableHTTPS, e.TLSConfig = false, nil
		if s.cfg.ExtenderTimeout > 0 {
			e.HTTPTimeout.Duration = s.cfg.ExtenderTimeout
		}
	}
	return extenders, err
}

// Extenders are those of the scheduler's configuration below deploy/ of the
// repository at root.
func Extenders(root string) ([]schedulerv1.Extender, error) {
	file := filepath.Join(root, "deploy", "scheduler", "kube-scheduler.yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the scheduler's configuration: %w", err)
	}
	var config schedulerv1.KubeSchedulerConfiguration
	if err := sigsyaml.UnmarshalStrict(raw, &config); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return config.Extenders, nil
}

// decode reads the objects of a stream of YAML documents.
func decode(stream []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096); ; {
		var o unstructured.Unstructured
		switch err := d.Decode(&o); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		case len(o.Object) > 0:
			objects = append(objects, &o)
		}
	}
}
