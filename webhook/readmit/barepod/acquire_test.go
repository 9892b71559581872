package barepod

import (
	"errors"
	"testing"

	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"heteroaccel.io/webhook/readmit/podapi"
)

// TestAcquireAgain: after a conflict a record is ours where the write that acquired it
// had lost its answer, and another replica's only if that has it.
func TestAcquireAgain(t *testing.T) {
	stored := func(version, holder string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r", UID: "u", ResourceVersion: version},
			Data:       map[string][]byte{holderField: []byte(holder)},
		}
	}
	tests := map[string]struct {
		now         *corev1.Secret
		ours, other bool
	}{
		"its answer was lost": {stored("2", "me 1"), true, false},
		"another has it":      {stored("2", "you 1"), false, true},
		"nobody changed it":   {stored("1", ""), false, false},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(c.now)
			client.PrependReactor("update", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewConflict(corev1.Resource("secrets"), "r", errors.New("changed"))
			})
			r := &Recreator{Config: Config{Pods: &podapi.Client{Interface: client, Log: zerolog.Nop()}, Namespace: "ns"}, holder: "me"}
			_, err := r.acquire(t.Context(), stored("1", ""), 2)
			if (err == nil) != c.ours || errors.Is(err, errOtherReplica) != c.other {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestRemoveRefused: a record whose removal is refused with a conflict is removed all
// the same while it is the one that was meant, and left alone if it is another.
func TestRemoveRefused(t *testing.T) {
	for name, c := range map[string]struct {
		uid  types.UID
		left int
	}{
		"the same":  {"u", 0},
		"another's": {"v", 1},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r", UID: c.uid}})
			refusals := 2
			client.PrependReactor("delete", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
				if refusals--; refusals >= 0 || c.uid != "u" {
					return true, nil, apierrors.NewConflict(corev1.Resource("secrets"), "r", errors.New("busy"))
				}
				return false, nil, nil
			})
			r := New(Config{Pods: &podapi.Client{Interface: client, Log: zerolog.Nop()}, Namespace: "ns"})
			r.remove(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r", UID: "u"}})
			left, err := client.CoreV1().Secrets("ns").List(t.Context(), metav1.ListOptions{})
			if err != nil || len(left.Items) != c.left {
				t.Errorf("%d records left, error %v; want %d", len(left.Items), err, c.left)
			}
		})
	}
}
