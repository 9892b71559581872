package pages

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Where says where the pages are.
type Where struct {
	REST *rest.Config
	// Namespace is that of the extender.
	Namespace string
	// URL is where the pages are; "" to forward a port to the extender's pods. CA is the
	// file of the CA of a URL with https, to which the token of REST is sent.
	URL, CA string
}

// Extenders are the extenders whose pages can be read.
type Extenders struct {
	where Where
	// pods are those that are ready, and ports those of their pages.
	pods  []string
	ports []int
	// unready is how many pods there are that are not.
	unready int
	clients map[int]*Client
}

// extenderName is the name in the labels of the extender's pods.
const extenderName = "heteroaccel-extender"

// ErrProtected is the error of pages that whoever forwards a port does not see.
var ErrProtected = errors.New("the extender serves its pages over HTTPS to whoever shows a token (deploy/extender-pages)")

// Find finds the extenders that are ready; there may be none. The error is the API
// server's where it refuses.
func Find(ctx context.Context, where Where) (*Extenders, error) {
	e := &Extenders{where: where, clients: map[int]*Client{}}
	if where.URL != "" {
		c, err := at(where)
		if err != nil {
			return nil, err
		}
		e.pods, e.ports, e.clients[0] = []string{where.URL}, []int{0}, c
		return e, nil
	}
	client, err := kubernetes.NewForConfig(where.REST)
	if err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	if err := mayForward(ctx, client, where.Namespace); err != nil {
		return nil, err
	}
	pods, err := client.CoreV1().Pods(where.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + extenderName})
	if err != nil {
		return nil, err
	}
	for _, p := range pods.Items {
		ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if !ready || p.DeletionTimestamp != nil {
			e.unready++
			continue
		}
		port, err := portOf(&p)
		if err != nil {
			return nil, err
		}
		e.pods, e.ports = append(e.pods, p.Name), append(e.ports, port)
	}
	return e, nil
}

// Len is how many are ready, and Unready how many pods there are that are not.
func (e *Extenders) Len() int     { return len(e.pods) }
func (e *Extenders) Unready() int { return e.unready }

// Client is a client of one of them. The port that is forwarded the first time stays so
// until the context ends.
func (e *Extenders) Client(ctx context.Context, i int) (*Client, error) {
	if c := e.clients[i]; c != nil {
		return c, nil
	}
	c, err := Forward(ctx, e.where.REST, e.where.Namespace, e.pods[i], e.ports[i])
	if err != nil {
		return nil, err
	}
	e.clients[i] = c
	return c, nil
}

// at is the client of a URL. The pages at one with https know who a token is of.
func at(where Where) (*Client, error) {
	c := At(where.URL)
	if !strings.HasPrefix(where.URL, "https://") {
		return c, nil
	}
	if where.REST.Impersonate.UserName != "" {
		return nil, errors.New("the pages over HTTPS know who a token is of, and cannot be read as somebody else: leave out --as")
	}
	config := rest.CopyConfig(where.REST)
	config.Host, config.TLSClientConfig, config.Timeout = where.URL, rest.TLSClientConfig{CAFile: where.CA}, requestTimeout
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("create a client of %s: %w", where.URL, err)
	}
	// Its redirects would send the token elsewhere.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTP = client
	return c, nil
}

// mayForward is the error that the caller may not forward ports. A refused upgrade of
// the connection does not say why it was refused.
func mayForward(ctx context.Context, client kubernetes.Interface, namespace string) error {
	review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "create", Resource: "pods", Subresource: "portforward", Namespace: namespace,
		}},
	}, metav1.CreateOptions{})
	if err == nil && !review.Status.Allowed {
		err = apierrors.NewForbidden(corev1.Resource("pods/portforward"), "", errors.New(review.Status.Reason))
	}
	return err
}

// pagesFlag is the extender's flag that says where its pages are, and pagesPort the
// port where it does not say.
const (
	pagesFlag = "--pages-bind-address="
	pagesPort = 8889
)

// portOf is the port of the pages, by the arguments of an extender's pod. Of two flags of
// a name the last one counts.
func portOf(p *corev1.Pod) (int, error) {
	address := ""
	for _, c := range p.Spec.Containers {
		for _, a := range c.Args {
			if at, ok := strings.CutPrefix(a, pagesFlag); ok {
				address = at
			}
		}
	}
	if address == "" {
		return pagesPort, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, fmt.Errorf("the extender's %s%s is no address: %w", pagesFlag, address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return 0, ErrProtected
	}
	return strconv.Atoi(port)
}
