package verbs

import (
	"errors"
	"slices"
)

// preemptArgs is the part of extenderv1.ExtenderPreemptionArgs that is needed.
type preemptArgs struct {
	Pod *podArgs
	// NodeNameToMetaVictims is what a scheduler sends whose entry for the
	// extender is nodeCacheCapable, as ours is; NodeNameToVictims is for others.
	NodeNameToMetaVictims map[string]*metaVictims
	NodeNameToVictims     map[string]*fullVictims
}

// metaVictims are the pods to be evicted from one node, by UID.
type metaVictims struct {
	Pods             []*metaPod
	NumPDBViolations int64
}

type metaPod struct{ UID string }

// fullVictims are the same as whole pods.
type fullVictims struct {
	Pods []*struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	NumPDBViolations int64
}

// decodePreemptArgs reads the body of a preempt request. Only
// NodeNameToMetaVictims is set then, without nulls, which kube-scheduler would
// not survive in an answer. The error is a sentence for the sender.
func decodePreemptArgs(body []byte, _ *scratch) (*preemptArgs, error) {
	a := new(preemptArgs)
	if err := decode(body, a, "ExtenderPreemptionArgs"); err != nil {
		return nil, err
	}
	switch {
	case a.Pod == nil:
		return nil, errors.New("the body holds no Pod: send ExtenderPreemptionArgs, as kube-scheduler does")
	case a.NodeNameToMetaVictims == nil && a.NodeNameToVictims == nil:
		return nil, errors.New("the body holds neither NodeNameToMetaVictims nor NodeNameToVictims: send ExtenderPreemptionArgs, as kube-scheduler does")
	case a.NodeNameToMetaVictims == nil:
		a.NodeNameToMetaVictims = make(map[string]*metaVictims, len(a.NodeNameToVictims))
		for node, full := range a.NodeNameToVictims {
			a.NodeNameToMetaVictims[node] = full.meta()
		}
	}
	for node, m := range a.NodeNameToMetaVictims {
		if m == nil {
			m = &metaVictims{}
			a.NodeNameToMetaVictims[node] = m
		}
		m.Pods = slices.DeleteFunc(m.Pods, func(p *metaPod) bool { return p == nil })
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
