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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	// SwitchName is the ConfigMap with which an operator suspends re-admission:
	// data suspended: "true".
	SwitchName = "heteroaccel-readmission"
	// StatusName is the ConfigMap in which the webhook lists the pods that it
	// could not recreate, under NotRecreatedField.
	StatusName        = "heteroaccel-readmission-status"
	NotRecreatedField = "notRecreated"
)

// Switch follows a ConfigMap that is created, changed or deleted while the
// programs run, and that may not exist.
type Switch struct {
	feed *Feed[*corev1.ConfigMap]
	data atomic.Pointer[map[string]string]
}

// NewSwitch returns the switch of a namespace; Run follows it.
func NewSwitch(client kubernetes.Interface, namespace, name string) *Switch {
	s := &Switch{}
	lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "configmaps", namespace, fields.OneTermEqualSelector("metadata.name", name))
	s.feed = newFeed("configmap "+name, lw, &corev1.ConfigMap{}, itself[*corev1.ConfigMap], nil)
	s.feed.Register(
		func(c *corev1.ConfigMap) { s.data.Store(&c.Data) },
		func(types.NamespacedName) { s.data.Store(nil) })
	return s
}

// Run follows the ConfigMap until ctx ends.
func (s *Switch) Run(ctx context.Context) error { return s.feed.Run(ctx) }

// Suspended reports whether re-admission is suspended. Whoever writes "yes" at
// night means yes: anything but an empty text, "false", "no", "off" and "0"
// suspends it.
func (s *Switch) Suspended() bool {
	data := s.data.Load()
	if data == nil {
		return false
	}
	switch strings.ToLower(strings.TrimSpace((*data)["suspended"])) {
	case "", "false", "no", "off", "0":
		return false
	}
	return true
}

// NotRecreated is a pod that was deleted to be recreated and that the API server
// denies.
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
	var bySecret map[string]NotRecreated
	if json.Unmarshal([]byte((*data)[NotRecreatedField]), &bySecret) != nil {
		return nil // somebody else wrote it: it explains, and nothing else
	}
	return slices.SortedFunc(maps.Values(bySecret), func(a, b NotRecreated) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}
