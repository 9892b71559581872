package server

import (
	"net/http"

	"github.com/bytedance/sonic"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/webhook/mutate"
)

// answer is the AdmissionReview that is returned.
type answer struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Response   response `json:"response"`
}

type response struct {
	UID       types.UID `json:"uid"`
	Allowed   bool      `json:"allowed"`
	Status    *status   `json:"status,omitempty"`
	Patch     []byte    `json:"patch,omitempty"`
	PatchType string    `json:"patchType,omitempty"`
	Warnings  []string  `json:"warnings,omitempty"`
}

type status struct {
	Code    int32  `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// allow admits a pod, with the operations of a patch if there are any.
func allow(uid types.UID, ops []mutate.Op) (answer, error) {
	a := answer{APIVersion: admissionVersion, Kind: admissionKind, Response: response{UID: uid, Allowed: true}}
	if len(ops) == 0 {
		return a, nil
	}
	patch, err := sonic.ConfigDefault.Marshal(ops)
	if err != nil {
		return a, err
	}
	a.Response.Patch, a.Response.PatchType = patch, "JSONPatch"
	return a, nil
}

// refuse denies a pod, with a sentence for the person who created it.
func refuse(uid types.UID, reason error) answer {
	return answer{APIVersion: admissionVersion, Kind: admissionKind, Response: response{
		UID:    uid,
		Status: &status{Code: http.StatusBadRequest, Reason: "BadRequest", Message: reason.Error()},
	}}
}
