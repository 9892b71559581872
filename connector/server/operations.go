package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"heteroaccel.io/connector/controller"
	"heteroaccel.io/connector/identity"
	"heteroaccel.io/connector/session"
	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile"
)

var errUnknown = identity.ErrUnknown

// nearNode is the one value of near.
const nearNode = "node"

// request is the body of a POST.
type request struct {
	Inference   string            `json:"inference" minLength:"1" maxLength:"253" example:"face-recognition" doc:"What to infer: the name of an InferenceProfile."`
	Accelerator string            `json:"accelerator,omitempty" maxLength:"256" default:"any" example:"gpu,npu" doc:"any, or the kinds allowed, in order of preference."`
	TTL         string            `json:"ttl,omitempty" pattern:"^[0-9]{1,6}(ms|s|m|h)$" patternDescription:"a time such as 90s, 5m or 1h" example:"60s" doc:"How long the session lives without being renewed."`
	Labels      map[string]string `json:"labels,omitempty" maxProperties:"16" doc:"Your own, as Kubernetes' labels."`
	Near        string            `json:"near,omitempty" enum:"node" doc:"node: prefer a server on the node that this connector runs on."`
	Priority    int32             `json:"priority,omitempty" minimum:"-1000" maximum:"1000" doc:"Higher is ahead in the queue."`
}

// TransformSchema describes that null stands for a field that is left out.
func (request) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	for name, field := range s.Properties {
		if slices.Contains(s.Required, name) {
			continue
		}
		if field.Nullable = true; len(field.Enum) > 0 {
			field.Enum = append(field.Enum, nil)
		}
	}
	return s
}

type createInput struct {
	Prefer []string `header:"Prefer" doc:"wait=SECONDS, 60 at most: answer once a server is there, or after that time."`
	Body   request
}

type sessionInput struct {
	ID string `path:"id" minLength:"26" maxLength:"26" pattern:"^[a-z2-7]{26}$" doc:"The id of the session."`
}

type sessionOutput struct {
	Status     int
	Location   string `header:"Location" doc:"Where to read the session."`
	RetryAfter string `header:"Retry-After" doc:"Seconds after which to look again, while it waits."`
	Body       Session
}

type listOutput struct{ Body list }

type list struct {
	Sessions []Session `json:"sessions" nullable:"false" doc:"The oldest first."`
}

// register registers the operations, and so their description.
func (s *server) register(api huma.API) {
	auth := huma.Middlewares{s.authenticate(api)}
	security := []map[string][]string{{"bearer": {}}}
	common := []int{http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInternalServerError}
	operation := func(method, path, id, summary string, status int, errors ...int) huma.Operation {
		return huma.Operation{
			Method: method, Path: path, OperationID: id, Summary: summary, DefaultStatus: status,
			Errors: append(slices.Clone(common), errors...), Middlewares: auth, Security: security, MaxBodyBytes: maxBody,
		}
	}
	create := operation(http.MethodPost, "/v1/sessions", "create-session", "Ask for an inference", http.StatusCreated,
		http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	create.Description = "Answers 201 with the address when a server is there, else 202: look at Location after Retry-After, or watch its events. With Prefer: wait=30 the answer waits up to 30 s for the server."
	create.Middlewares = append(slices.Clone(auth), patient)
	huma.Register(api, create, s.create)
	accepted(api, "/v1/sessions")
	huma.Register(api, operation(http.MethodGet, "/v1/sessions", "list-sessions", "List your sessions", http.StatusOK), s.list)
	one := []int{http.StatusNotFound, http.StatusUnprocessableEntity}
	huma.Register(api, operation(http.MethodGet, "/v1/sessions/{id}", "get-session", "Read a session", http.StatusOK, one...), s.get)
	huma.Register(api, operation(http.MethodPost, "/v1/sessions/{id}/renew", "renew-session", "Keep a session for another ttl", http.StatusOK, one...), s.renew)
	huma.Register(api, operation(http.MethodDelete, "/v1/sessions/{id}", "end-session", "End a session", http.StatusNoContent, one...), s.end)
	watch := operation(http.MethodGet, "/v1/sessions/{id}/events", "watch-session", "Watch a session", http.StatusOK, one...)
	watch.Middlewares = append(slices.Clone(auth), s.exists(api))
	s.registerEvents(api, watch)
}

// accepted describes the answer 202 of an operation like its 201.
func accepted(api huma.API, path string) {
	responses := api.OpenAPI().Paths[path].Post.Responses
	waiting := *responses["201"]
	waiting.Description = "Accepted: it waits in the queue"
	responses["202"] = &waiting
}

func (s *server) create(ctx context.Context, in *createInput) (*sessionOutput, error) {
	wanted, err := s.read(clientOf(ctx), &in.Body)
	if err != nil {
		return nil, err
	}
	view, err := s.Sessions.Create(ctx, wanted)
	if err != nil {
		s.Log.Error().Err(err).Msg("cannot create a session")
		return nil, huma.Error503ServiceUnavailable("the session could not be kept: try again in a second")
	}
	view = s.await(ctx, view, waitOf(in.Prefer))
	out := &sessionOutput{Status: http.StatusCreated, Location: "/v1/sessions/" + view.Session.ID, Body: sessionOf(view)}
	if out.Body.State == stateWaiting {
		out.Status = http.StatusAccepted
		out.RetryAfter = strconv.Itoa(retryAfter(view))
	}
	return out, nil
}

// retryAfter is when to look at a session that waits again, in seconds.
func retryAfter(v controller.View) int {
	const least, most = 1, 30
	return min(max(int(v.ExpectedWait/time.Second), least), most)
}

// await waits until a session is served, at most for a time, or until ctx ends.
func (s *server) await(ctx context.Context, view controller.View, limit time.Duration) controller.View {
	if limit <= 0 {
		return view
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		changed := s.Sessions.Changed(view.Session.ID)
		now, err := s.Sessions.Get(view.Session.Client, view.Session.ID)
		if err != nil {
			return view
		}
		if view = now; sessionOf(view).State == stateServing {
			return view
		}
		select {
		case <-ctx.Done():
			return view
		case <-changed:
		}
	}
}

// read checks what a client asks for.
func (s *server) read(client string, in *request) (session.Session, error) {
	var none session.Session
	p, ok := s.Profiles.Get(in.Inference)
	invalid := s.Profiles.Invalid(in.Inference)
	reach := s.Reach
	var refused error
	if ok {
		reach = cmp.Or(session.Reach(p.ServerAddress), reach)
		refused = s.Allowed(p)
	}
	switch {
	case !ok && invalid != nil:
		return none, huma.Error409Conflict(fmt.Sprintf("inference %q cannot be used: %v", in.Inference, invalid))
	case !ok:
		return none, huma.Error404NotFound(fmt.Sprintf("inference %q is unknown: %s", in.Inference, s.known()))
	case refused != nil:
		return none, huma.Error409Conflict(refused.Error())
	case p.Template == nil:
		return none, huma.Error409Conflict(fmt.Sprintf("inference %q has no template, from which a server could be made: give its InferenceProfile a spec.template", in.Inference))
	case session.PortOf(&p.Template.Spec) == nil:
		return none, huma.Error409Conflict(fmt.Sprintf("the template of inference %q has no port: give its container a containerPort", in.Inference))
	case reach == session.ReachHostPort && session.PortOf(&p.Template.Spec).HostPort == 0:
		return none, huma.Error409Conflict(fmt.Sprintf("the template of inference %q has no hostPort, by which its servers are to be reached: give its port one", in.Inference))
	case reach == session.ReachGateway && !s.Gateway:
		return none, huma.Error409Conflict(fmt.Sprintf("the servers of inference %q are to be reached by a Gateway, and this connector has none: start it with --gateway NAMESPACE/NAME, or give the InferenceProfile another serverAddress", in.Inference))
	}
	accelerator, err := acceleratorOf(p, in.Accelerator)
	if err != nil {
		return none, huma.Error422UnprocessableEntity(err.Error())
	}
	ttl := s.Limits.TTL
	if in.TTL != "" {
		if ttl, err = time.ParseDuration(in.TTL); err != nil || ttl < time.Second || ttl > s.Limits.MaxTTL {
			return none, huma.Error422UnprocessableEntity(fmt.Sprintf("ttl %q: give between 1s and %s", in.TTL, s.Limits.MaxTTL))
		}
	}
	if problems := labelProblems(in.Labels); len(problems) > 0 {
		return none, huma.Error422UnprocessableEntity("labels: " + problems[0].Error())
	}
	pool := session.Pool{Inference: p.Name, Accelerator: accelerator}
	if in.Near == nearNode {
		if pool.Node = s.Node; pool.Node == "" {
			return none, huma.Error422UnprocessableEntity("near: this connector serves no node in particular: leave near out, or ask the connector of your node")
		}
	}
	if n := s.Sessions.Count(client); n >= s.Limits.Sessions {
		return none, huma.Error429TooManyRequests(fmt.Sprintf("you have %d sessions, as many as a client may: end one first", n))
	}
	return session.Session{
		Client: client, Pool: pool, Labels: in.Labels, Priority: in.Priority, TTL: ttl.Truncate(time.Second),
	}, nil
}

// known lists the inferences that there are.
func (s *server) known() string {
	names := s.Profiles.Names()
	if missing := s.Profiles.CRD(); errors.Is(missing, profile.ErrNoCRD) {
		return missing.Error()
	}
	if len(names) == 0 {
		return "there is no InferenceProfile yet"
	}
	return "known are " + strings.Join(names, ", ")
}

// acceleratorOf reads which kinds are allowed, with the one parser of pods'
// requests, so that nothing is accepted here that the webhook refuses.
func acceleratorOf(p *profile.Profile, wanted string) (string, error) {
	if strings.TrimSpace(wanted) == "" {
		wanted = "any"
	}
	req, _, err := accel.ParseRequest(map[string]string{accel.InferenceAnnotation: p.Name, accel.AcceleratorAnnotation: wanted})
	if err != nil {
		return "", err
	}
	if len(req.Kinds) == 0 {
		return "any", nil
	}
	for _, kind := range req.Kinds {
		if p.Variant(kind) == nil {
			return "", fmt.Errorf("accelerator %q: inference %s has no variant for %s: choose among %s", wanted, p.Name, kind, accel.JoinKinds(p.Kinds()))
		}
	}
	return strings.ToLower(accel.JoinKinds(req.Kinds)), nil
}

func labelProblems(labels map[string]string) field.ErrorList {
	problems := metavalidation.ValidateLabels(labels, field.NewPath("labels"))
	return append(problems, validation.ValidateAnnotations(labels, field.NewPath("labels"))...)
}

func (s *server) get(ctx context.Context, in *sessionInput) (*sessionOutput, error) {
	return answer(s.Sessions.Get(clientOf(ctx), in.ID))
}

func (s *server) renew(ctx context.Context, in *sessionInput) (*sessionOutput, error) {
	return answer(s.Sessions.Renew(clientOf(ctx), in.ID))
}

func answer(v controller.View, err error) (*sessionOutput, error) {
	if err != nil {
		return nil, huma.Error404NotFound(err.Error())
	}
	out := &sessionOutput{Status: http.StatusOK, Location: "/v1/sessions/" + v.Session.ID, Body: sessionOf(v)}
	if out.Body.State == stateWaiting {
		out.RetryAfter = strconv.Itoa(retryAfter(v))
	}
	return out, nil
}

func (s *server) list(ctx context.Context, _ *struct{}) (*listOutput, error) {
	out := &listOutput{Body: list{Sessions: []Session{}}}
	for _, v := range s.Sessions.List(clientOf(ctx)) {
		out.Body.Sessions = append(out.Body.Sessions, sessionOf(v))
	}
	return out, nil
}

func (s *server) end(ctx context.Context, in *sessionInput) (*struct{}, error) {
	err := s.Sessions.End(ctx, clientOf(ctx), in.ID)
	switch {
	case errors.Is(err, controller.ErrNotFound):
		return nil, huma.Error404NotFound(err.Error())
	case err != nil:
		s.Log.Error().Err(err).Msg("cannot end a session")
		return nil, huma.Error503ServiceUnavailable("the session could not be ended: try again in a second")
	}
	return nil, nil
}
