package readmit

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// retryPause is how long a pod is left alone after an attempt that failed.
	retryPause = 5 * time.Second
	// maxRejections is after how many attempts in a row that were rejected a pod is left
	// alone although another kind could be tried: longer and longer, up to maxRetryPause.
	maxRejections = 8
	maxRetryPause = 5 * time.Minute
)

// attempts are those to recreate pods that are pending. The methods may be
// called from any goroutine.
type attempts struct {
	mu   sync.Mutex
	pods map[types.UID]*attempt
}

// attempt is how far we are with one pod.
type attempt struct {
	busy bool
	// notBefore is when it may be tried again.
	notBefore time.Time
	// deleteFirst is set once a ReplicaSet could not adopt its next pod.
	deleteFirst bool
	// rejections is how many attempts in a row were rejected.
	rejections int
	// reported is set once the pod has an Event that says why it is left alone.
	reported bool
}

func newAttempts() *attempts { return &attempts{pods: map[types.UID]*attempt{}} }

// keep forgets the pods that are not pending any more.
func (a *attempts) keep(pods map[types.UID]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for uid, s := range a.pods {
		if !pods[uid] && !s.busy {
			delete(a.pods, uid)
		}
	}
}

// begin marks a pod as busy; createFirst says whether its next pod may be created
// before it is deleted.
func (a *attempts) begin(uid types.UID) (createFirst bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.of(uid)
	s.busy = true
	return !s.deleteFirst
}

// outcome is what an attempt found out for the next.
type outcome struct {
	// retryNow is set when another kind can be tried at once.
	retryNow bool
	// deleteFirst is as in attempt.
	deleteFirst bool
	// rejected is set when the pod's owner should know why it is left alone.
	rejected bool
}

// end marks a pod as not busy. report is set the first time that its owner should
// know something.
func (a *attempts) end(uid types.UID, o outcome, now time.Time) (report bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.of(uid)
	s.busy = false
	if s.rejections++; !o.rejected {
		s.rejections = 0
	}
	pause := retryPause
	for range s.rejections - maxRejections {
		pause = min(2*pause, maxRetryPause)
	}
	if !o.retryNow || s.rejections >= maxRejections {
		s.notBefore = now.Add(pause)
	}
	s.deleteFirst = s.deleteFirst || o.deleteFirst
	report = o.rejected && !s.reported
	s.reported = s.reported || report
	return report
}

// state is whether a pod is being recreated now, and else when it may be.
func (a *attempts) state(uid types.UID) (busy bool, notBefore time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.pods[uid]; s != nil {
		return s.busy, s.notBefore
	}
	return false, time.Time{}
}

// of returns a pod's; the caller has the lock.
func (a *attempts) of(uid types.UID) *attempt {
	s := a.pods[uid]
	if s == nil {
		s = &attempt{}
		a.pods[uid] = s
	}
	return s
}
