package server

import (
	"errors"
	"net/http"
	"unsafe"

	"github.com/bytedance/sonic"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/serve"
	"heteroaccel.io/webhook/mutate"
)

// review is the part of an admission.k8s.io/v1 AdmissionReview that is read.
// It is slim on purpose: what is not named here is skipped, not decoded.
type review struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Request    *request `json:"request"`
}

type request struct {
	UID         types.UID     `json:"uid"`
	Resource    groupResource `json:"resource"`
	SubResource string        `json:"subResource"`
	Operation   string        `json:"operation"`
	Namespace   string        `json:"namespace"`
	DryRun      bool          `json:"dryRun"`
	Object      *mutate.Pod   `json:"object"`
}

type groupResource struct {
	Group    string `json:"group"`
	Resource string `json:"resource"`
}

// isPodCreate reports whether this is what the webhook is registered for.
func (r *request) isPodCreate() bool {
	return r.Operation == "CREATE" && r.SubResource == "" && r.Resource.Group == "" && r.Resource.Resource == "pods"
}

const (
	admissionVersion = "admission.k8s.io/v1"
	admissionKind    = "AdmissionReview"
)

// decode reads a review. The error is a sentence for whoever sent it.
func decode(body []byte) (*review, error) {
	var r review
	// The strings in r are copies: none refers to body, which is used again.
	if err := sonic.ConfigStd.UnmarshalFromString(unsafe.String(unsafe.SliceData(body), len(body)), &r); err != nil {
		return nil, errors.New("the body is not an AdmissionReview of a pod in JSON")
	}
	switch {
	case r.Kind != admissionKind || r.APIVersion != admissionVersion:
		return nil, errors.New("the body is not an AdmissionReview of " + admissionVersion)
	case r.Request == nil || r.Request.UID == "":
		return nil, errors.New("the AdmissionReview has no request, or no uid in it")
	case r.Request.isPodCreate() && r.Request.Object == nil:
		return nil, errors.New("the AdmissionReview has no object")
	}
	return &r, nil
}

// maxReview is the largest review that is read, in bytes: the API server accepts
// objects of up to 3 MiB, and a review holds one, not quoted.
const maxReview = 8 << 20

// handle answers reviews, where this replica does not decide by elsewhere.
func (s *Server) handle(elsewhere elsewhere) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		serve.Body(w, r, maxReview, func(body []byte) {
			rev, err := decode(body)
			if err != nil {
				s.metrics.malformed.Inc()
				serve.Error(w, http.StatusBadRequest, "%v", err)
				return
			}
			if !rev.Request.isPodCreate() {
				a, _ := allow(rev.Request.UID, nil)
				serve.JSON(w, http.StatusOK, a)
				return
			}
			by, err := s.callerOf(r)
			if err != nil {
				serve.Error(w, http.StatusUnauthorized, "%v", err)
				return
			}
			decide := func() <-chan struct{} {
				begins := s.begins()
				if s.answer(w, rev.Request, by) != nil {
					return begins
				}
				return nil
			}
			if decide() != nil {
				elsewhere(w, r, body, decide)
			}
		})
	}
}

// answer decides on a pod and answers its review. The error is why it is not decided
// here: then nothing was written.
func (s *Server) answer(w http.ResponseWriter, r *request, by inventory.Caller) error {
	var ops []mutate.Op
	var warnings []string
	var refusal error
	if err := s.inTerm(func() { ops, warnings, refusal = s.admit(r, by) }); err != nil {
		return err
	}
	if refusal != nil {
		serve.JSON(w, http.StatusOK, refuse(r.UID, refusal))
		return nil
	}
	a, err := allow(r.UID, ops)
	if err != nil {
		s.Log.Error().Err(err).Msg("encode the patch")
		serve.Error(w, http.StatusInternalServerError, "the patch could not be encoded: the webhook's log has the details")
		return nil
	}
	a.Response.Warnings = warnings
	serve.JSON(w, http.StatusOK, a)
	return nil
}
