package admission

import (
	"cmp"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	psa "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// level is what the labels pod-security.kubernetes.io/enforce and enforce-version
// of a namespace say. The zero value enforces nothing.
type level struct{ psa.LevelVersion }

// levelOf reads a namespace's labels as the PodSecurity plugin does: without a label
// it is privileged, with an invalid one restricted.
func levelOf(labels map[string]string) level {
	everything := psa.LevelVersion{Level: psa.LevelPrivileged, Version: psa.LatestVersion()}
	p, _ := psa.PolicyToEvaluate(labels, psa.Policy{Enforce: everything, Audit: everything, Warn: everything})
	return level{p.Enforce}
}

func (l level) privileged() bool { return l.Level == "" || l.Level == psa.LevelPrivileged }

// equal reports whether two levels enforce the same.
func (l level) equal(o level) bool {
	return l.privileged() && o.privileged() || l.Equivalent(&o.LevelVersion)
}

// evaluator has the checks of all versions, about a hundred functions.
var evaluator = sync.OnceValue(func() policy.Evaluator {
	e, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		panic(fmt.Sprintf("the PodSecurity checks of this build are inconsistent: %v", err))
	}
	return e
})

// refuses is the first violation of the level by a pod, "" for none.
func (l level) refuses(pod *corev1.Pod) string {
	if l.privileged() {
		return ""
	}
	for _, r := range evaluator().EvaluatePod(l.LevelVersion, &pod.ObjectMeta, &pod.Spec) {
		if r.Allowed {
			continue
		}
		why := fmt.Sprintf("PodSecurity %q: %s", l.String(), cmp.Or(r.ForbiddenReason, policy.UnknownForbiddenReason))
		if r.ForbiddenDetail != "" {
			why += " (" + r.ForbiddenDetail + ")"
		}
		return why
	}
	return ""
}
