package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/admission"
)

// predictionAgainstTheJudge holds what package admission predicts against what
// the API server says of the same pod, for random rules and pods. A refusal that
// is predicted has to come; one that comes has to be predicted, unless it turns
// on which of two LimitRanges is read first.
func predictionAgainstTheJudge(t *testing.T, s *stack.Stack) {
	const namespaces, pods = 24, 14
	random := rand.New(rand.NewPCG(9, 37))
	rules := admission.NewStore()
	ranges := map[string]int{}
	older := beforeMinor(t, s, "1.37")
	for i := range namespaces {
		ns := fmt.Sprint("judged-", i)
		namespace(t, s, ns)
		if level := []string{"", "", "baseline", "restricted"}[random.IntN(4)]; level != "" {
			kubectl(t, s, "label", "namespace", ns, enforceLabel+"="+level)
		}
		for j := range random.IntN(3) {
			ranges[ns] += limitedAtRandom(t, s, random, rules, ns, fmt.Sprint("range-", j))
		}
		found, err := s.Client().CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rules.SetNamespace(ns, found.Labels)
	}
	count := map[string]int{}
	for i := range namespaces {
		ns := fmt.Sprint("judged-", i)
		for range pods {
			p := randomPod(random, ns)
			if whole := p.Spec.Resources; whole != nil && older {
				// Or it would be completed ahead of a LimitRange's defaults, and refused for
				// them: see wholeUnderDefaults. The webhook raises it for the pods it judges.
				whole.Requests = with(whole.Requests, corev1.ResourceMemory, "64Gi")
				whole.Limits = with(whole.Limits, corev1.ResourceMemory, "64Gi")
			}
			why := rules.Refuses(ns, p)
			var verdict error
			// The API server's plugins read informers of their own, which may
			// lag behind the rules, but not for long.
			agreed := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
				_, verdict = would(t.Context(), s, p.DeepCopy())
				return (verdict != nil) == (why != "") || open(verdict, why, ranges[ns]), nil
			}) == nil && !open(verdict, why, ranges[ns])
			cause, err := causeOf(verdict)
			if err != nil {
				t.Fatalf("a pod of %s is refused for what no rule says: %v", ns, err)
			}
			switch {
			case agreed && why == "":
				count["admitted"]++
			case agreed:
				count["refused by "+cause]++
				if ranges[ns] < 2 && !sameWords(why, cause, verdict) {
					t.Errorf("in %s predicted %q, but the API server says: %v", ns, why, verdict)
				}
			case why != "":
				t.Errorf("in %s predicted %q, but the API server says: %v\n%s", ns, why, verdict, manifest(t, p))
			case open(verdict, why, ranges[ns]):
				count["left open between two LimitRanges"]++
			default:
				t.Errorf("in %s nothing was predicted, but the API server says: %v\n%s", ns, verdict, manifest(t, p))
			}
		}
	}
	t.Log(count)
	for _, outcome := range []string{"admitted", "refused by LimitRange", "refused by PodSecurity"} {
		if count[outcome] < 20 {
			t.Errorf("only %d pods were %s", count[outcome], outcome)
		}
	}
}

// open reports whether a refusal that was not predicted may turn on which of
// several LimitRanges is read first.
func open(verdict error, why string, ranges int) bool {
	cause, err := causeOf(verdict)
	return err == nil && verdict != nil && why == "" && ranges >= 2 && cause != "PodSecurity"
}

// sameWords reports whether a prediction is for the same reason as the verdict,
// which is one of several when a pod breaks more than one rule.
func sameWords(why, cause string, verdict error) bool {
	kind, words, _ := strings.Cut(why, ": ")
	if apierrors.IsInvalid(verdict) || strings.HasPrefix(words, "with its default") {
		return apierrors.IsInvalid(verdict) && strings.HasPrefix(words, "with its default")
	}
	return !strings.HasPrefix(kind, cause) || strings.Contains(verdict.Error(), words)
}

// causeOf says which of the API server's plugins refused a pod, "" for none.
func causeOf(verdict error) (string, error) {
	switch {
	case verdict == nil:
		return "", nil
	case apierrors.IsForbidden(verdict) && strings.Contains(verdict.Error(), "violates PodSecurity"):
		return "PodSecurity", nil
	case apierrors.IsForbidden(verdict) && (strings.Contains(verdict.Error(), " usage per ") || strings.Contains(verdict.Error(), "max limit to request ratio per")):
		return "LimitRange", nil
	case apierrors.IsInvalid(verdict):
		// A default of a LimitRange, which the pod's own amounts contradict.
		for _, words := range []string{"must be less than or equal to", "must be equal to", "Limit must be set for non overcommitable resources"} {
			if strings.Contains(verdict.Error(), words) {
				return "LimitRange", nil
			}
		}
	}
	return "", verdict
}

// limitedAtRandom makes a LimitRange that the API server finds valid, and takes
// it in as it came back, with its defaults; it returns how many it made.
func limitedAtRandom(t *testing.T, s *stack.Stack, random *rand.Rand, rules *admission.Store, ns, name string) int {
	t.Helper()
	chance := func(n int) bool { return random.IntN(n) == 0 }
	amounts := map[corev1.ResourceName][]string{
		corev1.ResourceCPU: {"100m", "250m", "500m", "1", "2"}, corev1.ResourceMemory: {"64Mi", "128Mi", "1Gi", "2Gi", "4Gi"},
		gpuResource: {"1", "1", "1", "2", "2"},
	}
	for range 20 {
		l := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
		for _, of := range []corev1.LimitType{corev1.LimitTypeContainer, corev1.LimitTypePod} {
			item := corev1.LimitRangeItem{Type: of}
			put := func(list *corev1.ResourceList, name corev1.ResourceName, amount string) {
				if *list == nil {
					*list = corev1.ResourceList{}
				}
				(*list)[name] = resource.MustParse(amount)
			}
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, gpuResource} {
				if name == gpuResource && !chance(6) {
					continue
				}
				a := amounts[name]
				if chance(4) {
					put(&item.Min, name, a[random.IntN(3)])
				}
				if chance(2) {
					put(&item.Max, name, a[2+random.IntN(3)])
				}
				if of == corev1.LimitTypeContainer && name != gpuResource {
					if chance(2) {
						put(&item.Default, name, a[1+random.IntN(3)])
					}
					if chance(2) {
						put(&item.DefaultRequest, name, a[random.IntN(3)])
					}
				}
				if name != gpuResource && chance(5) {
					put(&item.MaxLimitRequestRatio, name, []string{"1", "1500m", "2", "4"}[random.IntN(4)])
				}
			}
			if len(item.Min)+len(item.Max)+len(item.Default)+len(item.DefaultRequest)+len(item.MaxLimitRequestRatio) > 0 {
				l.Spec.Limits = append(l.Spec.Limits, item)
			}
		}
		made, err := s.Client().CoreV1().LimitRanges(ns).Create(t.Context(), l, metav1.CreateOptions{})
		if apierrors.IsInvalid(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		rules.SetLimitRange(admission.LimitRangeOf(made))
		return 1
	}
	t.Fatal(errors.New("none of twenty random LimitRanges was valid"))
	return 0
}

// randomPod is a pod that the API server finds valid where no rule is.
func randomPod(random *rand.Rand, ns string) *corev1.Pod {
	chance := func(n int) bool { return random.IntN(n) == 0 }
	p := plainPod("", inNamespace(ns))
	if chance(2) {
		hardened(p)
	}
	container := func(name string) corev1.Container {
		c := corev1.Container{Name: name, Image: "some", SecurityContext: p.Spec.Containers[0].SecurityContext.DeepCopy()}
		for _, of := range []struct {
			name    corev1.ResourceName
			amounts []string
		}{
			{corev1.ResourceCPU, []string{"50m", "100m", "500m", "1", "1500m", "3"}},
			{corev1.ResourceMemory, []string{"32Mi", "128Mi", "1Gi", "1536Mi", "3Gi", "5Gi"}},
		} {
			name, a := of.name, of.amounts
			i, j := random.IntN(len(a)), random.IntN(len(a))
			i, j = min(i, j), max(i, j)
			if chance(2) {
				c.Resources.Requests = with(c.Resources.Requests, name, a[i])
			}
			if chance(2) {
				c.Resources.Limits = with(c.Resources.Limits, name, a[j])
			}
		}
		if chance(4) {
			c.Resources.Limits = with(c.Resources.Limits, gpuResource, []string{"1", "2"}[random.IntN(2)])
		}
		switch random.IntN(12) {
		case 0:
			c.SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
		case 1:
			c.SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}}}
		case 2:
			c.Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 80}}
		}
		return c
	}
	p.Spec.Containers[0] = container("inference")
	for i := range random.IntN(2) {
		p.Spec.Containers = append(p.Spec.Containers, container(fmt.Sprint("beside-", i)))
	}
	for i := range max(0, random.IntN(4)-1) {
		c := container(fmt.Sprint("init-", i))
		if chance(2) {
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		}
		c.Ports = nil
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
	if len(p.Spec.Containers) > 1 {
		p.Spec.Containers[1].Ports = nil // or two would want the same port
	}
	if chance(5) {
		volume := []corev1.VolumeSource{
			{HostPath: &corev1.HostPathVolumeSource{Path: "/dev/dri"}}, {EmptyDir: &corev1.EmptyDirVolumeSource{}},
			{NFS: &corev1.NFSVolumeSource{Server: "s", Path: "/"}},
		}[random.IntN(3)]
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: volume}}
	}
	if chance(10) {
		p.Spec.HostPID = true
	}
	if p.Spec.SecurityContext != nil && chance(4) {
		p.Spec.SecurityContext.SupplementalGroups = []int64{109}
	}
	if !slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.RestartPolicy != nil }) && chance(6) {
		// More than the containers come to, which is what makes it valid.
		p.Spec.Resources = &corev1.ResourceRequirements{
			Requests: with(nil, corev1.ResourceCPU, "8"), Limits: with(nil, corev1.ResourceCPU, "8"),
		}
	}
	return p
}

// with is a list with one more amount.
func with(list corev1.ResourceList, name corev1.ResourceName, amount string) corev1.ResourceList {
	if list == nil {
		list = corev1.ResourceList{}
	}
	list[name] = resource.MustParse(amount)
	return list
}
