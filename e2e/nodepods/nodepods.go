package nodepods

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// byNode indexes pods by the node they are bound to.
const byNode = "node"

// Pods follows all pods of a cluster, and the ResourceClaims by which some have devices.
type Pods struct {
	informer, claims cache.SharedIndexInformer
}

// New returns one that follows nothing until Run.
func New(client kubernetes.Interface) *Pods {
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Pods().Informer()
	// It cannot fail on an informer that has not been started.
	_ = informer.AddIndexers(cache.Indexers{byNode: func(object any) ([]string, error) {
		if pod, ok := object.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
			return []string{pod.Spec.NodeName}, nil
		}
		return nil, nil
	}})
	return &Pods{informer, factory.Resource().V1().ResourceClaims().Informer()}
}

// Run follows them until ctx ends.
func (p *Pods) Run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { p.claims.RunWithContext(ctx) })
	p.informer.RunWithContext(ctx)
	both.Wait()
}

// Wait waits until all that there are were listed.
func (p *Pods) Wait(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), p.informer.HasSynced, p.claims.HasSynced) {
		return fmt.Errorf("watch pods and ResourceClaims: %w", context.Cause(ctx))
	}
	return nil
}

// Claim is a ResourceClaim, nil for none; not to be changed.
func (p *Pods) Claim(namespace, name string) *resourcev1.ResourceClaim {
	object, _, err := p.claims.GetIndexer().GetByKey(namespace + "/" + name)
	if err != nil {
		panic(err) // an indexer in memory has none
	}
	claim, _ := object.(*resourcev1.ResourceClaim)
	return claim
}

// On are the pods that are bound to a node, ended ones included; not to be changed.
func (p *Pods) On(node string) []*corev1.Pod {
	objects, err := p.informer.GetIndexer().ByIndex(byNode, node)
	if err != nil {
		panic(err) // only for an index that does not exist
	}
	pods := make([]*corev1.Pod, 0, len(objects))
	for _, object := range objects {
		if pod, ok := object.(*corev1.Pod); ok {
			pods = append(pods, pod)
		}
	}
	return pods
}
