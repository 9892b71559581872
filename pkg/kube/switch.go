package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// SwitchName is the ConfigMap with which an operator stops re-admission.
const SwitchName = "heteroaccel-readmission"

// Switch is a ConfigMap that an operator creates, changes or deletes while the
// programs run. It may well not be there.
type Switch struct {
	feed *Feed
	data atomic.Pointer[map[string]string]
}

// NewSwitch returns the switch of a namespace; Run follows it.
func NewSwitch(client kubernetes.Interface, namespace, name string) *Switch {
	s := &Switch{}
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "configmaps", namespace, fields.OneTermEqualSelector("metadata.name", name))
	s.feed = NewFeed("configmap "+name, lw, &corev1.ConfigMap{},
		func(o runtime.Object) error { s.data.Store(&o.(*corev1.ConfigMap).Data); return nil },
		func(types.NamespacedName) { s.data.Store(nil) },
		nil)
	return s
}

// Run follows the switch until ctx ends.
func (s *Switch) Run(ctx context.Context) error { return s.feed.Run(ctx) }

// Synced says what is missing until it is known whether the switch is there.
func (s *Switch) Synced() error { return s.feed.Synced() }

// On reports whether something is switched on. Whoever writes "yes" at night
// means yes: all but an empty text, "false", "no", "off" and "0" is on.
func (s *Switch) On(key string) bool {
	data := s.data.Load()
	if data == nil {
		return false
	}
	switch strings.ToLower(strings.TrimSpace((*data)[key])) {
	case "", "false", "no", "off", "0":
		return false
	}
	return true
}

// Suspended reports whether re-admission is stopped: data suspended: "true".
func (s *Switch) Suspended() bool { return s.On("suspended") }

const (
	// StatusName is the ConfigMap in which the webhook says which pods it could
	// not recreate, in NotRecreatedField.
	StatusName        = "heteroaccel-readmission-status"
	NotRecreatedField = "notRecreated"
)

// NotRecreated is a pod that was deleted to be recreated and that the API server
// refuses.
type NotRecreated struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Secret has its manifest, in the webhook's namespace.
	Secret string    `json:"secret"`
	Since  time.Time `json:"since"`
	Tries  int       `json:"tries"`
	// Refused is what the API server said last.
	Refused string `json:"refused"`
}

// NotRecreated are the pods that the webhook could not recreate, by name. s must
// follow StatusName.
func (s *Switch) NotRecreated() []NotRecreated {
	data := s.data.Load()
	if data == nil {
		return nil
	}
	var bySlot map[string]NotRecreated
	if json.Unmarshal([]byte((*data)[NotRecreatedField]), &bySlot) != nil {
		return nil // somebody else wrote it: it explains, and nothing else
	}
	return slices.SortedFunc(maps.Values(bySlot), func(a, b NotRecreated) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}
