package dradriver

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"heteroaccel.io/exporter/allocation"
	"heteroaccel.io/exporter/discovery"
	"heteroaccel.io/pkg/accel"
)

// nodeEvery is how often the API server is asked about the node: who else serves its
// devices is seen at once in the kubelet's answers, where that answers.
const nodeEvery = time.Minute

// retryNode is how long after an error it is asked again.
const retryNode = 5 * time.Second

// node is what the API server says of the node.
type node struct {
	// runtime is the container runtime and its version: "containerd://2.4.2".
	runtime string
	// resources are the most that the kubelet has of each.
	resources corev1.ResourceList
	// slices are what other DRA drivers publish.
	slices []resourceapi.ResourceSlice
}

// readNode asks the API server when it is time to, and returns the last answer, nil
// before the first.
func (d *Driver) readNode(ctx context.Context) *node {
	now := time.Now()
	if now.Before(d.nodeDue) {
		return d.node
	}
	found, err := d.askNode(ctx)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn().Err(err).Msg("what is published stays as it is")
		}
		d.nodeDue = now.Add(retryNode + rand.N(retryNode))
		return d.node
	}
	d.node, d.nodeDue = found, now.Add(nodeEvery+rand.N(nodeEvery/4))
	return found
}

func (d *Driver) askNode(ctx context.Context) (*node, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// From the API server's cache.
	n, err := d.client.CoreV1().Nodes().Get(ctx, d.config.Node, metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("read node %s: %w", d.config.Node, err)
	}
	own := fields.OneTermEqualSelector(resourceapi.ResourceSliceSelectorNodeName, d.config.Node).String()
	list, err := d.client.ResourceV1().ResourceSlices().List(ctx, metav1.ListOptions{FieldSelector: own, ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("list ResourceSlices of node %s: %w", d.config.Node, err)
	}
	out := &node{runtime: n.Status.NodeInfo.ContainerRuntimeVersion, resources: n.Status.Capacity.DeepCopy()}
	for _, s := range list.Items {
		if s.Spec.Driver != accel.DeviceDriver {
			out.slices = append(out.slices, s)
		}
	}
	// A device plugin whose devices are all unhealthy has some capacity, and one
	// that was just restarted may have it in allocatable first.
	for name, amount := range n.Status.Allocatable {
		if most := out.resources[name]; amount.Cmp(most) > 0 {
			out.resources[name] = amount
		}
	}
	return out, nil
}

// otherDrivers returns the kinds that other DRA drivers serve: by the driver's name, or
// by the PCI address of a device that is one of the node's.
func otherDrivers(found []discovery.Device, published []resourceapi.ResourceSlice) map[accel.Kind]string {
	out := map[accel.Kind]string{}
	for _, s := range published {
		if kind, known := allocation.DriverKind(s.Spec.Driver); known && len(s.Spec.Devices) > 0 {
			out[kind] = s.Spec.Driver
		}
		for _, device := range s.Spec.Devices {
			address := device.Attributes[pciBusID].StringValue
			for _, f := range found {
				if address != nil && f.ID == *address {
					out[f.Kind] = s.Spec.Driver
				}
			}
		}
	}
	return out
}

// pluginKinds returns the kinds that device plugins serve, by all that is known. The
// kubelet's last answer counts while it gives none.
func pluginKinds(found []discovery.Device, last map[accel.Kind]string, n *node) map[accel.Kind]string {
	out := maps.Clone(last)
	if out == nil {
		out = map[accel.Kind]string{}
	}
	if n != nil {
		maps.Copy(out, allocation.ResourceKinds(found, n.resources))
	}
	return out
}
