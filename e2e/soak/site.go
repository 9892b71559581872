package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"heteroaccel.io/e2e/soak/ledger"
	"heteroaccel.io/e2e/soak/plan"
	"heteroaccel.io/e2e/soak/twin"
	"heteroaccel.io/e2e/stack"
)

const (
	ourNamespace = stack.Namespace
	// backoff is how long a pod that was recreated is left alone at first.
	backoff = time.Second
	// longestRest is how long a pod that was recreated often is waited for.
	longestRest = time.Minute
	// holderName is the ConfigMap of each namespace that twins have for a
	// controller.
	holderName = "soak-twins"
)

// soak is one under way.
type soak struct {
	*stack.Stack
	client  kubernetes.Interface
	plan    *plan.Plan
	ledger  *ledger.Ledger
	owner   map[string]*plan.Owner           // by name
	holders map[string]metav1.OwnerReference // by namespace
	began   time.Time
	endFeed context.CancelFunc

	creators sync.WaitGroup // of bare pods

	outMu sync.Mutex
	out   io.Writer

	mu      sync.Mutex
	want    map[string]int    // of owners that were scaled
	refused map[string]string // bare pods that the API server never took, and why
	made    map[string]bool   // owners that were created
}

// start brings up a cluster with HeteroAccel and all of a plan that does not
// happen later.
func start(ctx context.Context, set settings, p *plan.Plan, out io.Writer) (_ *soak, err error) {
	st, err := stack.Start(ctx, stack.Config{
		Out: out, Machines: p.Machines, Race: set.race, Keep: set.keep,
		Webhook:  []string{"--telemetry-interval=1s", "--readmission-backoff=" + backoff.String()},
		Extender: []string{"--telemetry-interval=1s"},
	})
	if err != nil {
		return nil, err
	}
	config := st.REST()
	config.WarningHandler = rest.NoWarnings{} // what is refused is reported in the end
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		st.Stop()
		return nil, fmt.Errorf("make a client: %w", err)
	}
	s := &soak{
		Stack: st, client: client, plan: p, ledger: ledger.New(plan.OwnerLabel), out: out, began: time.Now(),
		owner: map[string]*plan.Owner{}, holders: map[string]metav1.OwnerReference{}, want: map[string]int{}, refused: map[string]string{}, made: map[string]bool{},
	}
	for _, o := range p.Owners {
		s.owner[o.Name] = o
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if err := s.follow(ctx); err != nil {
		return nil, err
	}
	return s, s.furnish(ctx)
}

func (s *soak) stop() {
	if s.endFeed != nil {
		s.endFeed()
	}
	s.Stack.Stop()
}

// follow keeps the ledger, of which twins are no part.
func (s *soak) follow(ctx context.Context) error {
	feed, end := context.WithCancel(context.Background())
	s.endFeed = end
	factory := informers.NewSharedInformerFactoryWithOptions(s.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = "!" + twin.Label
	}))
	handled, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { s.ledger.Set(o.(*corev1.Pod), time.Now()) },
		UpdateFunc: func(_, o any) { s.ledger.Set(o.(*corev1.Pod), time.Now()) },
		DeleteFunc: func(o any) {
			if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = last.Obj
			}
			if pod, ok := o.(*corev1.Pod); ok {
				s.ledger.Delete(pod, time.Now())
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch the pods: %w", err)
	}
	factory.StartWithContext(feed)
	if !cache.WaitForCacheSync(ctx.Done(), handled.HasSynced) {
		return fmt.Errorf("watch the pods: %w", context.Cause(ctx))
	}
	return nil
}

// furnish creates what is there from the start.
func (s *soak) furnish(ctx context.Context) error {
	for _, m := range s.plan.Machines {
		if err := s.labelNode(ctx, m.Name); err != nil {
			return err
		}
	}
	for _, profile := range s.plan.Profiles {
		if _, err := s.Profiles.Create(ctx, profile, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create profile %s: %w", profile.Name, err)
		}
	}
	for _, class := range s.plan.Classes {
		if _, err := s.client.SchedulingV1().PriorityClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create priority class %s: %w", class.Name, err)
		}
	}
	if _, err := s.client.StorageV1().StorageClasses().Create(ctx, s.plan.Storage, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the storage class: %w", err)
	}
	for _, v := range s.plan.Volumes {
		if _, err := s.client.CoreV1().PersistentVolumes().Create(ctx, v, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create volume %s: %w", v.Name, err)
		}
	}
	for _, n := range s.plan.Namespaces {
		if err := s.makeNamespace(ctx, n); err != nil {
			return fmt.Errorf("make namespace %s: %w", n.Name, err)
		}
	}
	for _, f := range s.plan.Foreign {
		if _, err := s.client.CoreV1().Pods(f.Namespace).Create(ctx, f, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create pod %s: %w", f.Name, err)
		}
	}
	return nil
}

func (s *soak) labelNode(ctx context.Context, node string) error {
	change := map[string]any{"metadata": map[string]any{"labels": s.plan.NodeLabels[node]}}
	if slices.Contains(s.plan.Reserved, node) {
		change["spec"] = map[string]any{"taints": []corev1.Taint{{Key: plan.ReservedTaint, Value: "yes", Effect: corev1.TaintEffectNoSchedule}}}
	}
	patch, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("encode the labels of node %s: %w", node, err)
	}
	if _, err := s.client.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("label node %s: %w", node, err)
	}
	return nil
}

// makeNamespace returns once pods are admitted there and quotas count.
func (s *soak) makeNamespace(ctx context.Context, n *plan.Namespace) error {
	core := s.client.CoreV1()
	if _, err := core.Namespaces().Create(ctx, n.Object(), metav1.CreateOptions{}); err != nil {
		return err
	}
	if n.Limits != nil {
		if _, err := core.LimitRanges(n.Name).Create(ctx, n.Limits, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	for _, q := range n.Quotas {
		if _, err := core.ResourceQuotas(n.Name).Create(ctx, q, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	holder, err := core.ConfigMaps(n.Name).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: holderName}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	s.holders[n.Name] = metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: holderName, UID: holder.UID, Controller: new(true)}
	return s.until(ctx, time.Minute, func() (bool, error) {
		if _, err := core.ServiceAccounts(n.Name).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return false, nil
		}
		for _, q := range n.Quotas {
			found, err := core.ResourceQuotas(n.Name).Get(ctx, q.Name, metav1.GetOptions{})
			if err != nil || len(found.Status.Hard) < len(q.Spec.Hard) {
				return false, nil
			}
		}
		return true, nil
	})
}

// until calls done until it is true, an error of its own ends it, or the limit
// is over, which is no error: the caller looks at what there is then.
func (s *soak) until(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// say reports a step.
func (s *soak) say(format string, args ...any) {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	fmt.Fprintf(s.out, "%6.1fs "+format+"\n", append([]any{time.Since(s.began).Seconds()}, args...)...)
}
