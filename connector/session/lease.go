package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
)

// Labels and annotations of the Leases that sessions are kept in, and of the
// pods that serve them.
const (
	// Label is on every Lease and pod of the connector: what it is.
	Label = accel.Prefix + "session"
	// LabelSession, LabelRenewals and LabelServer are the values of Label.
	LabelSession  = "session"
	LabelRenewals = "renewals"
	LabelServer   = "server"

	specAnnotation = accel.Prefix + "session-spec"
)

// leasePrefix begins the names of sessions' Leases.
const leasePrefix = "session-"

// spec is what of a session has no place in a Lease's own fields.
type spec struct {
	Client      string            `json:"client"`
	Inference   string            `json:"inference"`
	Accelerator string            `json:"accelerator"`
	Node        string            `json:"node,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Priority    int32             `json:"priority,omitempty"`
	Moves       int               `json:"moves,omitempty"`
}

// LeaseName is the name of the Lease of a session.
func LeaseName(id string) string { return leasePrefix + id }

// Lease is the object that a session is kept in: it is held by the server, for
// the session's TTL since it was last renewed. Its resourceVersion is the
// session's Version, so that a change of what was changed meanwhile is refused,
// and its uid the session's UID, so that a change of what was deleted meanwhile
// is: the API server creates a Lease that is not there on update.
func Lease(s *Session, namespace string) (*coordinationv1.Lease, error) {
	content, err := json.Marshal(spec{
		s.Client, s.Pool.Inference, s.Pool.Accelerator, s.Pool.Node, s.Labels, s.Priority, s.Moves,
	})
	if err != nil {
		return nil, fmt.Errorf("encode session %s: %w", s.ID, err)
	}
	l := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: LeaseName(s.ID), UID: types.UID(s.UID), ResourceVersion: s.Version,
			Labels:      map[string]string{Label: LabelSession},
			Annotations: map[string]string{specAnnotation: string(content)},
		},
		Spec: coordinationv1.LeaseSpec{
			LeaseDurationSeconds: new(int32(s.TTL / time.Second)),
			AcquireTime:          &metav1.MicroTime{Time: s.Created},
			RenewTime:            &metav1.MicroTime{Time: s.Renewed},
		},
	}
	if s.Server != "" {
		l.Spec.HolderIdentity = &s.Server
	}
	return l, nil
}

// OfLease reads a session's Lease. One that is not a session, or that somebody
// has spoilt, is an error.
func OfLease(l *coordinationv1.Lease) (*Session, error) {
	id, ok := IDOf(l.Name)
	if !ok {
		return nil, fmt.Errorf("lease %s is not a session's", l.Name)
	}
	var content spec
	if err := json.Unmarshal([]byte(l.Annotations[specAnnotation]), &content); err != nil {
		return nil, fmt.Errorf("lease %s: annotation %s: %w", l.Name, specAnnotation, err)
	}
	if l.Spec.LeaseDurationSeconds == nil || *l.Spec.LeaseDurationSeconds <= 0 || l.Spec.RenewTime == nil || l.Spec.AcquireTime == nil {
		return nil, fmt.Errorf("lease %s has no duration or times", l.Name)
	}
	s := &Session{
		ID: id, Client: content.Client,
		Pool:   Pool{content.Inference, content.Accelerator, content.Node},
		Labels: content.Labels, Priority: content.Priority, Moves: content.Moves,
		TTL:     time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second,
		Created: l.Spec.AcquireTime.Time, Renewed: l.Spec.RenewTime.Time,
		UID: string(l.UID), Version: l.ResourceVersion,
	}
	if l.Spec.HolderIdentity != nil {
		s.Server = *l.Spec.HolderIdentity
	}
	return s, nil
}

// IDOf is the id of the session that a Lease of this name is for.
func IDOf(lease string) (id string, ok bool) {
	id, ok = strings.CutPrefix(lease, leasePrefix)
	return id, ok && id != ""
}
