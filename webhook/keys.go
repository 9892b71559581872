package main

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/record"
)

// codeLength is how many characters of a namespace's code its runs are kept by: 72
// bits.
const codeLength = 12

// learnedCodes stand for a namespace in the status of a profile: the one in use, and
// those of other keys.
func learnedCodes(keys *record.Keys, inference, namespace string) []string {
	codes := keys.Codes("learned", inference, namespace)
	for i := range codes {
		codes[i] = codes[i][:codeLength]
	}
	return codes
}

// keySource is kube.Keys.
type keySource interface {
	Current() *record.Keys
	Err() error
	Names() []string
	Name(id string) string
}

// sealedPods counts the pods that have not ended by the key of their record, so that
// an operator knows which key can go, and tells those whose key is lost. It is a
// collector of metrics.
type sealedPods struct {
	keys     keySource
	leads    func() error
	recorder events.EventRecorder

	mu   sync.Mutex
	pods map[types.NamespacedName]sealedPod
}

type sealedPod struct {
	uid  types.UID
	key  string // its id
	lost bool   // the key is not known
	told bool   // by an Event
}

func newSealedPods(keys keySource, leads func() error, recorder events.EventRecorder) *sealedPods {
	return &sealedPods{keys: keys, leads: leads, recorder: recorder, pods: map[types.NamespacedName]sealedPod{}}
}

// set takes a pod that is new or has changed. A pod without our request was not
// admitted by us, whatever record somebody gave it.
func (s *sealedPods) set(e *kube.PodEvent) {
	p := e.Record
	name := types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
	_, asks, _ := accel.ParseRequest(e.Pod.Annotations)
	if p.RecordKey == "" || p.Done || !asks {
		s.remove(name)
		return
	}
	now := sealedPod{uid: p.UID, key: p.RecordKey, lost: p.Managed == nil}
	s.mu.Lock()
	before := s.pods[name]
	now.told = now.lost && before.told && before.uid == now.uid
	tell := now.lost && !now.told && p.Node == "" && s.leads() == nil
	now.told = now.told || tell
	s.pods[name] = now
	s.mu.Unlock()
	if tell {
		s.tell(p)
	}
}

func (s *sealedPods) tell(p *inventory.Pod) {
	pod := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}
	s.recorder.Eventf(pod, nil, corev1.EventTypeWarning, "KeyLost", "Admission", "%s", lostKey(p.RecordKey))
}

// lostKey says what a pod is told whose record was sealed with a key that is not
// there any more, and what a person can do.
func lostKey(id string) string {
	return fmt.Sprintf("its record was sealed with key %s, which Secret %s no longer has: it keeps the kind that it waits for, and is not recreated for another. Restore the key from a backup of the Secret, or delete the pod and create it anew", id, kube.KeySecret)
}

// remove forgets a pod.
func (s *sealedPods) remove(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pods, name)
}

var (
	keysReadable = prometheus.NewDesc("heteroaccel_webhook_keys_readable",
		"1 if the Secret with the keys that seal records was read last time and has only keys, 0 if not: those that were known before count meanwhile.", nil, nil)
	keyPods = prometheus.NewDesc("heteroaccel_webhook_key_pods",
		"Pods that have not ended, by the key in the Secret that sealed their record.", []string{"key"}, nil)
	keyLostPods = prometheus.NewDesc("heteroaccel_webhook_key_lost_pods",
		"Pods that have not ended and whose record was sealed with a key that the Secret does not have.", nil, nil)
	keySeals = prometheus.NewDesc("heteroaccel_webhook_key_seals",
		"Always 1: the key in the Secret that seals records now.", []string{"key"}, nil)
)

// Describe and Collect are a collector's.
func (s *sealedPods) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{keysReadable, keyPods, keyLostPods, keySeals} {
		ch <- d
	}
}

// Collect sends the metrics.
func (s *sealedPods) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	readable := 0.0
	if s.keys.Err() == nil {
		readable = 1
	}
	gauge(keysReadable, readable)
	gauge(keySeals, 1, s.keys.Name(s.keys.Current().Sealing()))
	lost, by := 0.0, map[string]float64{}
	for _, name := range s.keys.Names() {
		by[name] = 0
	}
	s.mu.Lock()
	for _, p := range s.pods {
		if name := s.keys.Name(p.key); name != "" && !p.lost {
			by[name]++
		} else {
			lost++
		}
	}
	s.mu.Unlock()
	for name, n := range by {
		gauge(keyPods, n, name)
	}
	gauge(keyLostPods, lost)
}
