package gatewayapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Client reads and writes HTTPRoutes and Gateways.
type Client struct {
	rest rest.Interface
}

// New returns a client of the API server that cfg describes; cfg is not changed.
// It sends nothing yet. The generated clientset of the Gateway API would do the
// same with all versions of all its resources.
func New(cfg *rest.Config) (*Client, error) {
	scheme := runtime.NewScheme()
	if err := gatewayv1.Install(scheme); err != nil {
		return nil, fmt.Errorf("register the Gateway API: %w", err)
	}
	cfg = rest.CopyConfig(cfg)
	cfg.APIPath = "/apis"
	cfg.GroupVersion = &schema.GroupVersion{Group: gatewayv1.GroupName, Version: gatewayv1.GroupVersion.Version}
	cfg.NegotiatedSerializer = rest.CodecFactoryForGeneratedClient(scheme, serializer.NewCodecFactory(scheme)).WithoutConversion()
	// Custom resources have no protobuf form, whatever else cfg is used for.
	cfg.ContentType, cfg.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("create a client of the Gateway API: %w", err)
	}
	return &Client{client}, nil
}

// REST is for watches.
func (c *Client) REST() rest.Interface { return c.rest }

// Routes are the HTTPRoutes of a namespace: Get, Create, Delete and so on, as
// client-go's generated clients have them.
func (c *Client) Routes(namespace string) *gentype.Client[*gatewayv1.HTTPRoute] {
	return gentype.NewClient("httproutes", c.rest, metav1.ParameterCodec, namespace, func() *gatewayv1.HTTPRoute { return &gatewayv1.HTTPRoute{} })
}

// errNone is that the API server does not know the Gateway API.
var errNone = errors.New("this cluster has no Gateway API (" + gatewayv1.GroupName + "/v1): install its CRDs and a controller, or start the connector without --gateway")

// Installed asks the API server whether it knows HTTPRoutes and Gateways, again
// until it answers or ctx ends. It fails when the answer is no.
func (c *Client) Installed(ctx context.Context) error {
	const pause = 2 * time.Second
	err := wait.PollUntilContextCancel(ctx, pause, true, func(ctx context.Context) (bool, error) {
		var known metav1.APIResourceList
		err := c.rest.Get().AbsPath("/apis/" + gatewayv1.GroupVersion.String()).Do(ctx).Into(&known)
		if apierrors.IsNotFound(err) {
			return false, errNone
		}
		if err != nil {
			return false, nil // it may be starting, too
		}
		kinds := map[string]bool{}
		for _, r := range known.APIResources {
			kinds[r.Kind] = true
		}
		if !kinds["HTTPRoute"] || !kinds["Gateway"] {
			return false, errNone
		}
		return true, nil
	})
	if ctx.Err() != nil {
		return nil // nobody asks any more
	}
	return err
}
