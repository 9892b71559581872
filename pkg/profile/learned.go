package profile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

// Runs are runs that were observed of one variant.
type Runs struct {
	// Hash is the variant's at the time of the runs.
	Hash string
	servicetime.Estimate
}

// hash is the same for variants that are written alike. Any edit makes it
// another, the image's and the hint's as well as an argument's: what was
// learned is of no use when something else runs, and who corrects a hint wants
// to be believed until there is something new to learn from.
func hash(v *v1alpha1.Variant) string {
	written, err := json.Marshal(v)
	if err != nil {
		return "" // no variant of the API server's is like that; it learns nothing
	}
	sum := sha256.Sum256(written)
	return hex.EncodeToString(sum[:8])
}

// remembered returns a variant's hash, and what a status says was learned of
// this very form of it.
func remembered(v *v1alpha1.Variant, kind accel.Kind, learned []v1alpha1.LearnedTime) (string, servicetime.Estimate) {
	own := hash(v)
	for i := range learned {
		l := &learned[i]
		if k, err := accel.ParseKind(l.Accelerator); err == nil && k == kind && l.VariantHash == own && own != "" {
			return own, servicetime.Estimate{Recent: servicetime.Decode(l.Recent), Runs: l.Samples, Last: l.LastObserved.Time}
		}
	}
	return own, servicetime.Estimate{}
}

// merge returns what was learned of in's variants once runs are added, in
// their order. Runs of a variant that is gone or has been edited since are left
// out, and so is what was learned of such.
func merge(in *v1alpha1.InferenceProfile, runs map[accel.Kind]Runs) []v1alpha1.LearnedTime {
	var out []v1alpha1.LearnedTime
	for i := range in.Spec.Variants {
		v := &in.Spec.Variants[i]
		kind, err := accel.ParseKind(v.Accelerator)
		if err != nil {
			continue
		}
		own, known := remembered(v, kind, in.Status.Learned)
		if r, ok := runs[kind]; ok && r.Hash == own {
			known = known.Append(r.Estimate)
		}
		if len(known.Recent) == 0 {
			continue
		}
		out = append(out, v1alpha1.LearnedTime{
			Accelerator:  string(kind),
			Time:         metav1.Duration{Duration: known.Time()},
			Samples:      known.Runs,
			LastObserved: metav1.NewTime(known.Last.Truncate(time.Second)),
			VariantHash:  own,
			Recent:       servicetime.Encode(known.Recent),
		})
	}
	return out
}

// AddRuns adds runs to what the status of a profile keeps of its kinds. It reads
// the profile first and writes it only if it has not changed meanwhile. again
// reports, with an error, that nothing was written and another try may help;
// without it the runs may have been written, or never can be. Runs of variants
// that are no more are left out without an error.
func (c *Client) AddRuns(ctx context.Context, name string, runs map[accel.Kind]Runs) (again bool, err error) {
	in, err := c.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return !apierrors.IsNotFound(err), fmt.Errorf("read profile %s to keep what was learned: %w", name, err)
	}
	learned := merge(in, runs)
	if slices.Equal(learned, in.Status.Learned) {
		return false, nil
	}
	in.Status.Learned = learned
	if _, err := c.UpdateStatus(ctx, in, metav1.UpdateOptions{}); err != nil {
		return refused(err), fmt.Errorf("keep what was learned in the status of profile %s: %w", name, err)
	}
	return false, nil
}

// refused reports whether the API server certainly wrote nothing, and might
// another time. A connection that broke leaves that open.
func refused(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsTooManyRequests(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}
