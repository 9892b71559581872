package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/pkg/accel"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/policy"
	"heteroaccel.io/pkg/record"
	"heteroaccel.io/webhook/readmit/servers"
	"heteroaccel.io/webhook/readmit/upgrade"
	"heteroaccel.io/webhook/server"
)

// Serving are servers, and what becomes of them.
type Serving struct {
	Deployments []Deployment
	// Rollouts is the mean time between two rollouts of a Deployment, 0 for none.
	Rollouts time.Duration
	// Ready is how long a server holds its device before it serves.
	Ready time.Duration
	// MoveUp are the rules by which servers are moved to faster kinds; nil where they stay.
	MoveUp *upgrade.Rules
}

// Deployment is some servers of one type of inference.
type Deployment struct {
	Type, Replicas int
	// Demand is how many runs a second are asked of all of them, 0 for as many as they can
	// do.
	Demand float64
	// Asks is set where they ask to be moved to a faster kind.
	Asks bool
}

func (s *Serving) check(c *Config) error {
	switch {
	case s == nil:
		return nil
	case c.Slack != 0 || c.Learning != nil || c.Error != 0:
		return errors.New("servers are simulated without deadlines, and with all service times known: set neither Slack, Learning nor Error")
	case s.Rollouts < 0 || s.Ready < 0:
		return errors.New("servers need times that are not negative")
	}
	for _, d := range s.Deployments {
		if d.Type < 0 || d.Type >= len(c.Fleet.Types) || d.Replicas < 1 || d.Demand < 0 {
			return fmt.Errorf("a Deployment of type %d with %d replicas, of which %v is asked", d.Type, d.Replicas, d.Demand)
		}
	}
	return nil
}

// serving are the servers of a simulation under way.
type serving struct {
	deployments []*deployment
	// known and ledger are the product's own.
	known  *servers.Servers
	ledger upgrade.Ledger

	// looked, and since when a faster kind was idle for a server, are as in the product's
	// loop; moving is how many servers move.
	looked   time.Time
	patience upgrade.Patience
	moving   int
	// look is which look comes next, at lookAt; planned is unset where none does.
	look    uint64
	lookAt  time.Duration
	planned bool

	// began is told of each move that begins; nil for nobody.
	began func(*move)
}

// deployment is a Deployment with its pods.
type deployment struct {
	Deployment
	number   int
	best     int // the kind on which a run takes least
	revision int
	pods     []int
	move     *move // nil while none of its servers moves
	rollouts *rand.Rand
	tally
}

// replica is what the pod of a server has beside any other pod.
type replica struct {
	of       *deployment
	revision int
	// displaced is as in its record.
	displaced accel.Kind
	ready     bool
	readyAt   time.Duration
	// takes is the move that this pod is the next one of; nil once it is its
	// Deployment's.
	takes *move
}

// name and set are those of the Deployment and of a ReplicaSet of it.
func (d *deployment) name() string            { return fmt.Sprintf("servers%d", d.number) }
func (d *deployment) set(revision int) string { return fmt.Sprintf("%s-%d", d.name(), revision) }

// sealing is the key of the records, by which the product knows its servers.
var sealing = record.NewKeys([]byte("a key of the simulation, of 32 bytes"))

// addServers creates the Deployments, on a fleet that is empty.
func (w *World) addServers() error {
	if w.Serving == nil {
		return nil
	}
	w.serving = &serving{known: servers.New(func() *record.Keys { return sealing }, func(string) bool { return false })}
	for i, d := range w.Serving.Deployments {
		// Each draws its rollouts by itself, so that they do not depend on what is moved.
		s := &deployment{Deployment: d, number: i, rollouts: rand.New(rand.NewPCG(w.Seed, 1000+uint64(i)))}
		for j, takes := range w.Fleet.Types[d.Type].Service {
			if least := w.Fleet.Types[d.Type].Service[s.best]; takes > 0 && (takes < least || least <= 0) {
				s.best = j
			}
		}
		w.serving.deployments = append(w.serving.deployments, s)
		if err := w.reconcile(s); err != nil {
			return err
		}
		w.planRollout(s)
	}
	return nil
}

// decideServer is the webhook, for the pod of a server.
func (w *World) decideServer(j *job, q inventory.Query) inventory.Candidate {
	r, rank := j.serves, w.Policy
	if m := r.takes; m != nil {
		// It gets what is reserved for it, as long as that is idle.
		q.Release = m.reservation
		rank = func(cs []inventory.Candidate) []policy.Ranked {
			ranked := w.Policy(cs)
			for i := range ranked {
				if w.kindOf[ranked[i].Kind] == m.kind && ranked[i].Idle() > 0 {
					ranked[0], ranked[i] = ranked[i], ranked[0]
					break
				}
			}
			return ranked
		}
	}
	ranked := w.decide(q, rank, w.Fleet.Types[j.typ].Name, false)
	r.displaced = ""
	if r.takes == nil {
		r.displaced, _ = server.Displaced(ranked, w.serving.known.HeldByOthers(namespace, r.of.set(r.revision)))
	}
	return ranked[0].Candidate
}

// showServer is the informer, for what the product knows of servers: one that no ReplicaSet
// has adopted yet is none.
func (w *World) showServer(j *job) {
	r := j.serves
	if r.takes != nil {
		return
	}
	set := r.of.set(r.revision)
	given, err := json.Marshal(record.Given{Inference: j.pod.Managed.Inference, Kind: j.pod.Managed.Kind, Displaced: r.displaced})
	if err != nil {
		panic(err) // strings and times are always encoded
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: j.pod.Name, UID: types.UID(j.pod.Name),
			Annotations: map[string]string{
				accel.ReservationAnnotation: j.pod.Managed.Reservation,
				accel.OriginalAnnotation:    record.Seal(string(given), sealing, namespace, j.pod.Managed.Reservation),
			},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: set, UID: types.UID(set), Controller: new(true)}},
		},
		Spec:   corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways},
		Status: corev1.PodStatus{Phase: j.pod.Run.Phase},
	}
	if r.of.Asks {
		pod.Annotations[accel.UpgradeAnnotation] = "true"
	}
	if r.ready {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(epoch.Add(r.readyAt))}}
	}
	if w.serving.known.Set(pod) {
		w.wake()
	}
}
