package verbs

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"k8s.io/apimachinery/pkg/types"

	"heteroaccel.io/extender/history"
	"heteroaccel.io/pkg/inventory"
	"heteroaccel.io/pkg/resources"
	"heteroaccel.io/pkg/serve"
)

// maxBody is the most that is read of a request, in bytes: the names of more
// nodes than Kubernetes supports, or some hundreds of whole nodes.
const maxBody = 16 << 20

// Config is what the verbs read and report to. All of it is needed but
// Registerer.
type Config struct {
	Inventory *inventory.Inventory
	// History remembers how calls ended.
	History *history.Store
	// AskedAbout takes what the pod of each filter call needs.
	AskedAbout func(resources.Amounts, time.Time)
	// ManagedOnly leaves pods alone that HeteroAccel did not admit.
	ManagedOnly bool
	// Registerer takes the verbs' metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	Log        zerolog.Logger
}

// Verbs answers kube-scheduler.
type Verbs struct {
	Config
	metrics *metrics
	pods    podUIDs
}

// New compiles the decoders, so that the first request need not wait for it.
func New(c Config) (*Verbs, error) {
	if err := pretouch(); err != nil {
		return nil, fmt.Errorf("prepare the decoder of scheduler requests: %w", err)
	}
	return &Verbs{
		Config:  c,
		metrics: newMetrics(c.Registerer, c.Inventory),
		pods:    podUIDs{byName: map[types.NamespacedName]types.UID{}, all: map[types.UID]struct{}{}},
	}, nil
}

// Filter answers POST /scheduler/filter: ExtenderArgs with an
// ExtenderFilterResult.
func (v *Verbs) Filter(w http.ResponseWriter, r *http.Request) {
	handle(v, w, r, &v.metrics.filter, decodeArgs, func(s *scratch, a *args) []byte {
		v.filter(a, &s.result)
		return appendFilterResult(s.out, &s.result)
	}, appendFilterError)
}

// Prioritize answers POST /scheduler/prioritize: ExtenderArgs with a
// HostPriorityList. That has no place for an error: without scores, those of the
// other plugins decide.
func (v *Verbs) Prioritize(w http.ResponseWriter, r *http.Request) {
	handle(v, w, r, &v.metrics.prioritize, decodeArgs, func(s *scratch, a *args) []byte {
		return v.appendScores(s, a)
	}, func(b []byte, _ string) []byte {
		return append(b, "[]"...)
	})
}

// Preempt answers POST /scheduler/preempt: ExtenderPreemptionArgs with an
// ExtenderPreemptionResult.
//
// kube-scheduler goes on with all its candidates after any status but 200. That
// is right for a request that cannot be read, as the result has no place for an
// error.
func (v *Verbs) Preempt(w http.ResponseWriter, r *http.Request) {
	handle(v, w, r, &v.metrics.preempt, decodePreemptArgs, func(s *scratch, a *preemptArgs) []byte {
		return appendCandidates(s.out, v.preempt(a))
	}, nil)
}

// handle decodes a request, answers it and measures that. A pod that cannot be
// placed is a 200 if failure can put the sentence in an answer: kube-scheduler
// does not read the body of any other status.
func handle[A any](v *Verbs, w http.ResponseWriter, r *http.Request, m *verbMetrics, decode func([]byte, *scratch) (A, error),
	answer func(*scratch, A) []byte, failure func(b []byte, sentence string) []byte) {
	start, result := time.Now(), refused
	defer func() { m.seconds[result].Observe(time.Since(start).Seconds()) }()
	serve.Body(w, r, maxBody, func(body []byte) {
		s := scratches.Get().(*scratch)
		defer s.release()
		args, err := decode(body, s)
		switch {
		case err == nil:
			result = answered
			s.out = answer(s, args)
		case failure != nil && errors.Is(err, errPod):
			result = failed
			v.Log.Warn().Err(err).Str("path", r.URL.Path).Msg("cannot place a pod")
			s.out = failure(s.out, err.Error())
		default:
			serve.Error(w, http.StatusBadRequest, "%s", err)
			return
		}
		header := w.Header()
		header["Content-Type"] = contentType
		header["Content-Length"] = []string{strconv.Itoa(len(s.out))}
		_, _ = w.Write(s.out) // the client is gone: nobody is left to tell
	})
}

// contentType is of every answer; net/http only reads it.
var contentType = []string{"application/json"}

// scratch is memory that one request leaves to the next.
type scratch struct {
	names  []string
	result filterResult
	scores []int64
	out    []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch bounds, in bytes, what a huge request may leave.
const maxScratch = 1 << 20

func (s *scratch) release() {
	clear(s.names[:cap(s.names)]) // each shares a copy of its body
	s.names, s.out = s.names[:0], s.out[:0]
	s.result.reset()
	if cap(s.out) <= maxScratch && cap(s.names) <= maxScratch/16 && cap(s.scores) <= maxScratch/16 {
		scratches.Put(s)
	}
}
