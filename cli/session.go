package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/term"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"heteroaccel.io/cli/check"
	"heteroaccel.io/cli/pages"
)

// session keeps the ports that are forwarded, until one of them fails.
type session struct {
	view      *view
	extenders *pages.Extenders
	// held is for as long as the ports are to be forwarded.
	held   context.Context
	cancel context.CancelFunc
}

// read looks, and connects first if nothing is.
func (s *session) read(ctx context.Context, look look) (picture, error) {
	if s.extenders == nil {
		s.held, s.cancel = context.WithCancel(ctx)
		found, err := s.view.find(s.held)
		if err != nil {
			s.end()
			return picture{}, err
		}
		s.extenders = found
	}
	p, err := look(s.held, s.view, s.extenders)
	if err == nil {
		return p, nil
	}
	if refused := new(pages.Error); !errors.As(err, &refused) {
		s.end() // the next look connects anew
	}
	return picture{}, s.view.explain(ctx, err)
}

// find finds the extenders that are ready, of which there is one at least. Ports are
// forwarded until ctx ends.
func (v *view) find(ctx context.Context) (*pages.Extenders, error) {
	found, err := pages.Find(ctx, v.where)
	if err == nil && found.Len() == 0 {
		err = v.absent(ctx, found.Unready())
	}
	if unreachable := new(url.Error); errors.As(err, &unreachable) {
		err = fmt.Errorf("the API server cannot be reached, to find the extender: %w", err)
	}
	if err != nil {
		return nil, v.explain(ctx, err)
	}
	return found, nil
}

func (s *session) end() {
	if s.cancel != nil {
		s.cancel()
	}
	s.extenders, s.held, s.cancel = nil, nil, nil
}

// absent is the error that no extender is ready.
func (v *view) absent(ctx context.Context, unready int) error {
	namespace := v.where.Namespace
	if unready > 0 {
		return fmt.Errorf("no extender pod in namespace %s is ready: kubectl -n %[1]s describe pods -l app.kubernetes.io/name=%s shows why", namespace, check.Extender)
	}
	if v.unregistered(ctx) {
		return fmt.Errorf("HeteroAccel is not installed in this cluster: there is no extender pod in namespace %s, and no webhook is registered; heteroaccel check says how to install it", namespace)
	}
	return fmt.Errorf("there is no extender pod in namespace %s: name its namespace with --system-namespace, or see heteroaccel check", namespace)
}

// unregistered reports whether it is certain that no webhook of ours is registered.
func (v *view) unregistered(ctx context.Context) bool {
	if v.where.REST == nil {
		return false
	}
	client, err := kubernetes.NewForConfig(v.where.REST)
	if err != nil {
		return false
	}
	_, err = client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, check.RegistrationName, metav1.GetOptions{})
	return apierrors.IsNotFound(err)
}

// explain makes of an error a sentence that says what to do.
func (v *view) explain(ctx context.Context, err error) error {
	refused := new(pages.Error)
	switch {
	case errors.Is(err, pages.ErrProtected):
		return fmt.Errorf("%w: name their URL with --extender-url, and its CA with --extender-ca", err)
	case apierrors.IsForbidden(err):
		right := "list pods"
		for _, resource := range []string{"pods/portforward", "selfsubjectaccessreviews"} {
			if strings.Contains(err.Error(), resource) {
				right = "create " + resource
			}
		}
		return fmt.Errorf("you may not %s in namespace %s, which it takes to read the extender's pages: have an administrator give you the Role of docs/cli.md#rights", right, v.where.Namespace)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not know you: %w", err)
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
		sentence := forCommandLine(refused.Sentence)
		if strings.Contains(sentence, "was not admitted") && v.unregistered(ctx) {
			return fmt.Errorf("%s, and no webhook is registered that would admit them: heteroaccel check says how to install it", sentence)
		}
		return errors.New(sentence)
	case errors.As(err, &refused) && refused.Sentence != "":
		return fmt.Errorf("the extender refuses: %s", refused.Sentence)
	}
	return err
}

// forCommandLine names commands where the extender's words name requests.
func forCommandLine(words string) string {
	return strings.NewReplacer(
		"GET /pods lists all", "kubectl get pods lists all",
		"GET /nodes lists all", "heteroaccel nodes lists all",
		"see / for the resources that kube-scheduler does not ask about", "heteroaccel check names the resources that kube-scheduler does not ask about",
		"see ?format=json", "see -o json",
	).Replace(words)
}

// terminal is the size of the terminal that w is, nil if it is none.
func terminal(w io.Writer) func() (columns, lines int) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return func() (columns, lines int) {
		columns, lines, err := term.GetSize(int(f.Fd()))
		if err != nil || columns < 1 || lines < 1 {
			return 80, 24
		}
		return columns, lines
	}
}

func indent(text []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(text), "", "  "); err != nil {
		return nil, fmt.Errorf("read the extender's JSON: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
