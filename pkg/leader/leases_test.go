package leader

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// fault is what becomes of a request, instead of its answer; nil for the answer.
type fault func(w http.ResponseWriter, r *http.Request, answer http.HandlerFunc)

// leases is an API server that has one Lease, and takes the writes of whoever leads.
// It notes those that another replica could have sent at the same time.
type leases struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex
	lease *coordinationv1.Lease
	// stored is when the Lease was written last, by whoever holds it.
	stored  time.Time
	version int
	// faults are those of a replica's requests for the Lease.
	faults map[string]fault
	// works are the writes by replica, and onWork is called with each, if not nil.
	works  map[string]int
	onWork func(replica string)
	// released is how often the Lease was released.
	released int
	// edited is set when somebody takes the Lease away by hand: then nobody can know
	// at once.
	edited bool
}

func newLeases(t *testing.T) *leases {
	s := &leases{t: t, faults: map[string]fault{}, works: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/{replica}/apis/coordination.k8s.io/v1/namespaces/ns/leases", s.faulty(s.serve))
	mux.HandleFunc("/{replica}/apis/coordination.k8s.io/v1/namespaces/ns/leases/lease", s.faulty(s.serve))
	mux.HandleFunc("POST /{replica}/work", s.work)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}

func (s *leases) faulty(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		fault := s.faults[r.PathValue("replica")]
		s.mu.Unlock()
		// A server that has not read the body does not notice that its client has gone.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if fault == nil {
			answer(w, r)
			return
		}
		fault(w, r, answer)
	}
}

// serve reads, creates and updates the Lease, by compare-and-swap.
func (s *leases) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var in coordinationv1.Lease
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			s.t.Errorf("%s: %v", r.Method, err)
		}
	}
	switch {
	case s.lease == nil && r.Method != http.MethodPost:
		status(w, http.StatusNotFound, "NotFound")
		return
	case s.lease != nil && r.Method == http.MethodPost:
		status(w, http.StatusConflict, "AlreadyExists")
		return
	case r.Method == http.MethodPut && in.ResourceVersion != s.lease.ResourceVersion:
		status(w, http.StatusConflict, "Conflict")
		return
	case r.Method != http.MethodGet:
		if *in.Spec.HolderIdentity == "" {
			s.released++
		}
		s.put(&in)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.lease)
}

// put stores the Lease. The caller holds the lock.
func (s *leases) put(l *coordinationv1.Lease) {
	s.version++
	l.APIVersion, l.Kind, l.ResourceVersion = "coordination.k8s.io/v1", "Lease", strconv.Itoa(s.version)
	s.lease, s.stored = l, time.Now()
}

// steal gives the Lease to somebody else for a second, as kubectl could.
func (s *leases) steal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edited = true
	l := s.lease.DeepCopy()
	l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds = new("thief"), new(int32(1))
	s.put(l)
}

// remove deletes the Lease.
func (s *leases) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.edited, s.lease = true, nil
}

func status(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
}

// work takes a write of a replica, which must hold the Lease for certain.
func (s *leases) work(w http.ResponseWriter, r *http.Request) {
	replica := r.PathValue("replica")
	s.mu.Lock()
	s.works[replica]++
	switch {
	case s.edited:
	case s.lease == nil:
		s.t.Errorf("%s writes, and there is no lease", replica)
	case *s.lease.Spec.HolderIdentity != replica:
		s.t.Errorf("%s writes, and %q leads", replica, *s.lease.Spec.HolderIdentity)
	case time.Since(s.stored) > time.Duration(*s.lease.Spec.LeaseDurationSeconds)*time.Second:
		s.t.Errorf("%s writes %s after it renewed the lease", replica, time.Since(s.stored))
	}
	do := s.onWork
	s.mu.Unlock()
	if do != nil {
		do(replica)
	}
}

// fail sets what becomes of a replica's requests for the Lease.
func (s *leases) fail(replica string, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[replica] = f
}

// worked is how often a replica has written.
func (s *leases) worked(replica string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.works[replica]
}

// quick is an election whose margin is a second.
func quick(replica string) Flags {
	return Flags{Elect: true, Identity: replica, LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 200 * time.Millisecond}
}

// candidateAt takes part in the election at the API server of a URL.
func candidateAt(url, replica string, f Flags, log io.Writer) (*Leader, error) {
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: url + "/" + replica, QPS: 1000, Burst: 1000,
		ContentConfig: rest.ContentConfig{ContentType: "application/json", AcceptContentTypes: "application/json"},
	})
	if err != nil {
		return nil, err
	}
	return New(Config{Client: client, Namespace: "ns", Lease: "lease", Flags: f, Log: zerolog.New(log)})
}

func (s *leases) candidate(replica string, f Flags) *Leader {
	s.t.Helper()
	l, err := candidateAt(s.URL, replica, f, zerolog.NewTestWriter(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// sender sends a term's writes, one at a time.
type sender struct {
	client *http.Client
	url    string
}

func senderTo(url, replica string) *sender {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &sender{&http.Client{Transport: Fence(transport)}, url + "/" + replica + "/work"}
}

func (s *leases) sender(replica string) *sender { return senderTo(s.URL, replica) }

func (s *sender) send(r *http.Request) error {
	resp, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

func (s *sender) request() *http.Request {
	r, err := http.NewRequest(http.MethodPost, s.url, strings.NewReader("w"))
	if err != nil {
		panic(err) // the URL is the test's
	}
	return r
}
