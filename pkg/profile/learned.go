package profile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/profile/v1alpha1"
	"heteroaccel.io/pkg/servicetime"
)

// Runs are finished runs of one variant.
type Runs struct {
	// Hash is the variant's at the time of the runs.
	Hash string
	// By are the runs of each namespace, by whatever stands for it.
	By map[string]servicetime.Estimate
	// Formerly is what stood for a namespace of By before, nil for nothing: what was
	// learned by that is its too, or else it would count twice.
	Formerly map[string][]string
}

// hash is equal for equal variants. Any edit changes it, of the image, the hint or
// an argument: what was learned does not apply to another program, and a
// corrected hint should count until there are new runs.
func hash(v *v1alpha1.Variant) string { return hashOf(v) }

// servedHash is the same of a variant together with where its servers report: with
// another metric or unit, earlier readings mean something else.
func servedHash(in *v1alpha1.InferenceProfile, v *v1alpha1.Variant) string {
	return hashOf([]any{v, in.Spec.ServerMetrics})
}

func hashOf(v any) string {
	written, err := json.Marshal(v)
	if err != nil {
		return "" // never for one from the API server; nothing is learned of it
	}
	sum := sha256.Sum256(written)
	return hex.EncodeToString(sum[:8])
}

// learnedOf returns a variant's hash, and what a status says was learned of this
// form of it.
func learnedOf(v *v1alpha1.Variant, kind accel.Kind, learned []v1alpha1.LearnedTime) (string, servicetime.Measured) {
	own := hash(v)
	for i := range learned {
		l := &learned[i]
		if k, err := accel.ParseKind(l.Accelerator); err == nil && k == kind && l.VariantHash == own && own != "" {
			return own, measured(l)
		}
	}
	return own, nil
}

// measured reads what was learned of a variant. A status that an earlier version
// wrote knows no namespaces.
func measured(l *v1alpha1.LearnedTime) servicetime.Measured {
	var m servicetime.Measured
	if len(l.Namespaces) == 0 {
		return m.Add(servicetime.Earlier, servicetime.Estimate{Recent: servicetime.Decode(l.Recent), Runs: l.Runs, Last: l.LastObserved.Time})
	}
	for _, n := range l.Namespaces {
		m = m.Add(n.ID, servicetime.Estimate{Recent: servicetime.Decode(n.Recent), Runs: n.Runs, Last: n.LastObserved.Time})
	}
	return m
}

// merge returns what is learned of in's variants with runs added, in the order of
// the variants. It leaves out runs, and what was learned, of variants that were
// removed or edited since, and everything while a reset is pending.
func merge(in *v1alpha1.InferenceProfile, runs map[accel.Kind]Runs) []v1alpha1.LearnedTime {
	if _, pending := resetOf(in); pending {
		return nil
	}
	var out []v1alpha1.LearnedTime
	for i := range in.Spec.Variants {
		v := &in.Spec.Variants[i]
		kind, err := accel.ParseKind(v.Accelerator)
		if err != nil {
			continue
		}
		own, known := learnedOf(v, kind, in.Status.Learned)
		if r, ok := runs[kind]; ok && r.Hash == own {
			known = addAll(known, r)
		}
		if len(known) > 0 {
			out = append(out, learnedTime(kind, own, known.Sort()))
		}
	}
	return out
}

// addAll adds runs to what is known.
func addAll(known servicetime.Measured, r Runs) servicetime.Measured {
	for _, namespace := range slices.Sorted(maps.Keys(r.By)) {
		for _, formerly := range r.Formerly[namespace] {
			known = known.Rename(formerly, namespace)
		}
		known = known.Add(namespace, r.By[namespace])
	}
	return known
}

// learnedTime writes what was learned of a variant.
func learnedTime(kind accel.Kind, hash string, m servicetime.Measured) v1alpha1.LearnedTime {
	l := v1alpha1.LearnedTime{
		Accelerator:  string(kind),
		Time:         metav1.Duration{Duration: m.Time()},
		Runs:         m.Runs(),
		LastObserved: seconds(m.Last()),
		VariantHash:  hash,
	}
	for _, n := range m {
		l.Namespaces = append(l.Namespaces, v1alpha1.NamespaceRuns{
			ID: n.Namespace, Runs: n.Runs, LastObserved: seconds(n.Last), Recent: servicetime.Encode(n.Recent),
		})
	}
	return l
}

// keepTimes drops the times of variants that were removed or edited since, and all of
// them while a reset is pending.
func keepTimes(in *v1alpha1.InferenceProfile) {
	in.Status.Learned, in.Status.Served = merge(in, nil), mergeServed(in, nil)
}

// seconds is a time as the API has it.
func seconds(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }

// AddRuns adds runs to the service times in the status of a profile. It reads the
// profile first and writes it only if it has not changed meanwhile. retry is set
// with an error when nothing was written and another attempt may succeed; without
// it the runs may have been written, or never can be. Runs of variants that do
// not exist any more are left out without an error.
func (c *Client) AddRuns(ctx context.Context, name string, runs map[accel.Kind]Runs) (retry bool, err error) {
	return c.add(ctx, name, func(in *v1alpha1.InferenceProfile) { in.Status.Learned = merge(in, runs) })
}

// add changes what the status of a profile has of service times.
func (c *Client) add(ctx context.Context, name string, change func(*v1alpha1.InferenceProfile)) (retry bool, err error) {
	in, err := c.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return !apierrors.IsNotFound(err), fmt.Errorf("read profile %s to add service times: %w", name, err)
	}
	before := in.Status.DeepCopy()
	keepTimes(in)
	change(in)
	if !reset(in, time.Now()) && equality.Semantic.DeepEqual(&in.Status, before) {
		return false, nil
	}
	summarize(in)
	if _, err := c.UpdateStatus(ctx, in, metav1.UpdateOptions{}); err != nil {
		return retryable(err), fmt.Errorf("write service times to the status of profile %s: %w", name, err)
	}
	return false, nil
}

// retryable reports whether the API server wrote nothing for certain, and may
// another time. After a broken connection that is not known.
func retryable(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsTooManyRequests(err) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}
