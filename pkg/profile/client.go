package profile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
)

// Client reads and writes InferenceProfiles: Get, List, Watch, Create, Update,
// UpdateStatus, Patch, Delete, as client-go's generated clients have them.
type Client struct {
	*gentype.ClientWithList[*v1alpha1.InferenceProfile, *v1alpha1.InferenceProfileList]
}

// NewClient returns a client of the API server that cfg describes; cfg is not
// changed. It sends nothing yet.
func NewClient(cfg *rest.Config) (*Client, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register the InferenceProfile: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme)

	cfg = rest.CopyConfig(cfg)
	cfg.APIPath = "/apis"
	cfg.GroupVersion = &v1alpha1.SchemeGroupVersion
	cfg.NegotiatedSerializer = rest.CodecFactoryForGeneratedClient(scheme, codecs).WithoutConversion()
	// Custom resources have no protobuf form, whatever else cfg is used for.
	cfg.ContentType, cfg.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	if cfg.UserAgent == "" {
		cfg.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("create a client for InferenceProfiles: %w", err)
	}
	return &Client{gentype.NewClientWithList(
		v1alpha1.Resource, client, runtime.NewParameterCodec(scheme), metav1.NamespaceNone,
		func() *v1alpha1.InferenceProfile { return &v1alpha1.InferenceProfile{} },
		func() *v1alpha1.InferenceProfileList { return &v1alpha1.InferenceProfileList{} },
	)}, nil
}

// missingInterval is how often profiles are listed while their CRD is missing.
const missingInterval = 2 * time.Second

// ListWatch lists and watches all profiles, for a reflector. answered is called with
// the result of each attempt, which is ErrNoCRD while the API server knows no
// profiles. A list then waits until it does: a reflector's own pauses grow up to a
// minute.
func (c *Client) ListWatch(answered func(error)) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			for {
				list, err := c.List(ctx, o)
				answered(known(err))
				if !apierrors.IsNotFound(err) {
					return list, err
				}
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(missingInterval):
				}
			}
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := c.Watch(ctx, o)
			answered(known(err))
			return w, err
		},
	}, c.GetClient())
}

// WriteStatus updates in's status from its spec and what was observed, for kubectl get to
// print, and
// sends nothing when it is up to date. It drops what was learned of a variant
// that has been edited since, and everything if the profile's annotation
// accel.ResetLearnedAnnotation was set anew. The error is the API server's; after a conflict the
// newer version is on its way.
func (c *Client) WriteStatus(ctx context.Context, in *v1alpha1.InferenceProfile, o Observed) error {
	out := in.DeepCopy()
	out.Status.Accelerators, out.Status.ObservedGeneration = accelerators(in), in.Generation
	keepTimes(out)
	changed := reset(out, time.Now())
	out.Status.Variants = o.variants(in)
	summarize(out)
	changed = meta.SetStatusCondition(&out.Status.Conditions, usable(out)) || changed
	if c := sharedPod(in); c != nil {
		changed = meta.SetStatusCondition(&out.Status.Conditions, *c) || changed
	} else {
		changed = meta.RemoveStatusCondition(&out.Status.Conditions, lateBinding) || changed
	}
	if !changed && out.Status.Accelerators == in.Status.Accelerators && in.Status.ObservedGeneration == in.Generation &&
		len(out.Status.Learned) == len(in.Status.Learned) && len(out.Status.Served) == len(in.Status.Served) && summaryOf(in) == summaryOf(out) &&
		equality.Semantic.DeepEqual(out.Status.Variants, in.Status.Variants) {
		return nil
	}
	if _, err := c.UpdateStatus(ctx, out, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update the status of profile %s: %w", in.Name, err)
	}
	return nil
}

// lateBinding is the condition that tells whether a profile's pods can be bound late.
const lateBinding = "LateBinding"

// AsksLate reports whether a profile asks for its pods to be bound late in any way.
func AsksLate(in *v1alpha1.InferenceProfile) bool {
	return in.Spec.Binding != "" && in.Spec.Binding != string(Early) ||
		slices.ContainsFunc(in.Spec.Variants, func(v v1alpha1.Variant) bool { return v.DeviceClassName != "" })
}

// sharedPod is that condition, nil for a profile that asks for nothing of the kind.
func sharedPod(in *v1alpha1.InferenceProfile) *metav1.Condition {
	p, err := New(in)
	if !AsksLate(in) || err != nil {
		return nil
	}
	c := &metav1.Condition{
		Type: lateBinding, Status: metav1.ConditionTrue, ObservedGeneration: in.Generation, Reason: "Possible",
		Message: "pods can be bound late where each DeviceClass has devices, and binding or the webhook's --binding asks for it",
	}
	if p.NotLate != nil {
		c.Status, c.Reason = metav1.ConditionFalse, "VariantsDiffer"
		c.Message = "pods are bound early: " + p.NotLate.Error()
	}
	return c
}

// accelerators lists the kinds of a profile as kubectl get prints them; a word
// that is not a kind is left as written.
func accelerators(in *v1alpha1.InferenceProfile) string {
	names := make([]string, len(in.Spec.Variants))
	for i, v := range in.Spec.Variants {
		names[i] = v.Accelerator
		if k, err := accel.ParseKind(v.Accelerator); err == nil {
			names[i] = string(k)
		}
	}
	return strings.Join(names, ",")
}
