package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/cluster"
	"heteroaccel.io/e2e/poll"
	"heteroaccel.io/e2e/soak/judge"
	"heteroaccel.io/e2e/soak/ledger"
	"heteroaccel.io/e2e/stack"
	"heteroaccel.io/pkg/accel"
)

// settle waits until for a while no pod was created, bound, ended or deleted,
// nothing runs that ends by itself, and no pod that waits is left alone because
// it was recreated a moment ago. It says what is still going on at the limit.
func (s *soak) settle(ctx context.Context, quiet, limit time.Duration) {
	deadline := time.Now().Add(limit)
	seen, since := "", time.Now()
	for ctx.Err() == nil {
		now := time.Now()
		state, busy := s.state(now)
		if state != seen {
			seen, since = state, now
		}
		switch {
		case busy == "" && now.Sub(since) >= quiet:
			return
		case now.After(deadline):
			s.say("it does not come to rest within %s: %s", limit, busy)
			return
		}
		if poll.SleepUntil(ctx, now.Add(250*time.Millisecond)) != nil {
			return
		}
	}
}

// state is the same while nothing changes about the pods; busy names one that
// something is about to happen to by itself.
func (s *soak) state(now time.Time) (state, busy string) {
	state, busy = "", ""
	for _, p := range s.ledger.Pods() {
		state += fmt.Sprint(p.UID, p.Spec.NodeName, p.Status.Phase, p.DeletionTimestamp != nil, "\n")
		name := p.Namespace + "/" + p.Name
		switch {
		case p.DeletionTimestamp != nil:
			busy = name + " is being deleted"
		case ledger.Live(p) && p.Spec.NodeName != "" && ends(p):
			busy = name + " runs and will end"
		case ledger.Waiting(p) && now.Before(judge.Rested(p.CreationTimestamp.Time, moves(p), backoff, longestRest).Add(time.Second)):
			busy = name + " is left alone for a while"
		}
	}
	return state, busy
}

// ends reports whether a pod ends by itself, as kwok has it.
func ends(p *corev1.Pod) bool {
	return p.Annotations[cluster.DurationAnnotation] != "" && p.Spec.RestartPolicy != corev1.RestartPolicyAlways
}

func moves(p *corev1.Pod) int {
	n, _ := strconv.Atoi(p.Annotations[accel.ReadmissionsAnnotation]) // nonsense is none
	return n
}

// The switch that stops all re-admissions.
const (
	switchName  = "heteroaccel-readmission"
	switchField = "suspended"
)

// suspend stops all re-admissions.
func (s *soak) suspend(ctx context.Context) error {
	maps := s.client.CoreV1().ConfigMaps(ourNamespace)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: switchName}, Data: map[string]string{switchField: "true"}}
	_, err := maps.Create(ctx, object, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = maps.Update(ctx, object, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("suspend re-admission: %w", err)
	}
	suspended := false
	err = s.until(ctx, 20*time.Second, func() (bool, error) {
		text, err := stack.Get(ctx, s.URL("webhook status", "/metrics"))
		suspended = strings.Contains(text, "\nheteroaccel_webhook_readmission_suspended 1\n")
		return suspended, err
	})
	if err == nil && !suspended && ctx.Err() == nil {
		err = fmt.Errorf("the webhook does not say that re-admission is suspended, though ConfigMap %s/%s has it so", ourNamespace, switchName)
	}
	return err
}

func (s *soak) secrets(ctx context.Context) ([]corev1.Secret, error) {
	secrets, err := s.client.CoreV1().Secrets(ourNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list our secrets: %w", err)
	}
	return secrets.Items, nil
}

func (s *soak) allPods(ctx context.Context) ([]*corev1.Pod, error) {
	list, err := s.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the pods: %w", err)
	}
	pods := make([]*corev1.Pod, len(list.Items))
	for i := range list.Items {
		pods[i] = &list.Items[i]
	}
	return pods, nil
}
