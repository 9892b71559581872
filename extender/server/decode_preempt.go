package server

import (
	"errors"
	"slices"
	"unicode/utf8"
	"unsafe"
)

// preemptArgs is the part of extenderv1.ExtenderPreemptionArgs that is read.
// As with args, nothing of it may outlive the request without a copy.
type preemptArgs struct {
	Pod *podArgs
	// NodeNameToMetaVictims comes to an extender that is nodeCacheCapable, as
	// the shipped configuration says ours is; NodeNameToVictims to another.
	NodeNameToMetaVictims map[string]*metaVictims
	NodeNameToVictims     map[string]*fullVictims
}

// metaVictims are the pods to be evicted from one node, by UID.
type metaVictims struct {
	Pods             []*metaPod
	NumPDBViolations int64
}

type metaPod struct{ UID string }

// pods are those that are named; m may be nil, and so may what it lists.
func (m *metaVictims) pods() []*metaPod {
	if m == nil {
		return nil
	}
	return slices.DeleteFunc(m.Pods, func(p *metaPod) bool { return p == nil })
}

// fullVictims are the same as whole pods.
type fullVictims struct {
	Pods []*struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	NumPDBViolations int64
}

// decodePreempt reads a request's body. Victims come out as meta victims,
// however they came in. The error is a sentence for whoever sent it.
func decodePreempt(body []byte) (*preemptArgs, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not valid UTF-8")
	}
	a := new(preemptArgs)
	if err := codec.UnmarshalFromString(unsafe.String(unsafe.SliceData(body), len(body)), a); err != nil {
		return nil, unreadable(err, "ExtenderPreemptionArgs")
	}
	switch {
	case a.Pod == nil:
		return nil, errors.New("the body holds no Pod: send ExtenderPreemptionArgs, as kube-scheduler does")
	case a.NodeNameToMetaVictims != nil:
		return a, nil
	case a.NodeNameToVictims == nil:
		return nil, errors.New("the body holds neither NodeNameToMetaVictims nor NodeNameToVictims: send ExtenderPreemptionArgs, as kube-scheduler does")
	}
	a.NodeNameToMetaVictims = make(map[string]*metaVictims, len(a.NodeNameToVictims))
	for node, full := range a.NodeNameToVictims {
		a.NodeNameToMetaVictims[node] = full.meta()
	}
	return a, nil
}

func (f *fullVictims) meta() *metaVictims {
	if f == nil {
		return nil
	}
	m := &metaVictims{NumPDBViolations: f.NumPDBViolations}
	for _, p := range f.Pods {
		if p != nil {
			m.Pods = append(m.Pods, &metaPod{p.Metadata.UID})
		}
	}
	return m
}
