package apiproxy

import (
	"fmt"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// Call is a call of the API server.
type Call struct {
	// Verb is as RBAC has it: get, list, watch, create, update, patch, delete; or
	// the method where it is about no resource.
	Verb string
	// Resource is pods, or pods/status; the path where it is about no resource.
	Resource string
	// Namespace and Name are empty where there is none.
	Namespace, Name string
	DryRun          bool
}

var requests = request.RequestInfoFactory{
	APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api"),
}

// CallOf says what a request is.
func CallOf(r *http.Request) (Call, error) {
	info, err := requests.NewRequestInfo(r)
	if err != nil {
		return Call{}, fmt.Errorf("tell what %s %s is: %w", r.Method, r.URL.Path, err)
	}
	if !info.IsResourceRequest {
		return Call{Verb: strings.ToLower(r.Method), Resource: info.Path}, nil
	}
	c := Call{Verb: info.Verb, Resource: info.Resource, Namespace: info.Namespace, Name: info.Name}
	if info.Subresource != "" {
		c.Resource += "/" + info.Subresource
	}
	c.DryRun = r.URL.Query().Get("dryRun") != ""
	return c, nil
}

// String is the sort of a call: "create pods, dry run". All calls that are alike
// but for the object have the same.
func (c Call) String() string {
	sort := c.Verb + " " + c.Resource
	if c.DryRun {
		sort += ", dry run"
	}
	return sort
}
