package profile

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"heteroaccel.io/pkg/profile/v1alpha1"
)

// crdName is the CRD's, and installs the command that installs it.
const (
	crdName  = "inferenceprofiles." + v1alpha1.GroupName
	installs = "kubectl apply --server-side -k deploy/base/crd"
)

// ErrNoCRD is that the API server knows no InferenceProfiles.
var ErrNoCRD = errors.New("the CRD " + crdName + " is not installed: install it with " + installs)

// known is the error of a list or a watch, ErrNoCRD where the API server does not know
// what is listed. Nothing else is not found in a list.
func known(err error) error {
	if apierrors.IsNotFound(err) {
		return ErrNoCRD
	}
	return err
}
