package apiproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"heteroaccel.io/e2e/poll"
)

// Late has each call reach the API server after a time.
func Late(by time.Duration) Fault {
	return func(ctx context.Context, _ Call, send Send) (*http.Response, error) {
		if err := poll.SleepUntil(ctx, time.Now().Add(by)); err != nil {
			return nil, err
		}
		return send()
	}
}

// Hold has calls reach the API server once a channel is closed.
func Hold(released <-chan struct{}) Fault {
	return func(ctx context.Context, _ Call, send Send) (*http.Response, error) {
		select {
		case <-released:
			return send()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Refuse answers calls that match with a status in the API server's place, and
// counts them in refused.
func Refuse(code int, match func(Call) bool, refused *atomic.Int64) Fault {
	return func(_ context.Context, c Call, send Send) (*http.Response, error) {
		if !match(c) {
			return send()
		}
		refused.Add(1)
		return answer(code), nil
	}
}

// Refusals answer a part of the calls, chosen by a generator, with one of the API
// server's errors: 429 with a pause of a second, 500, 503, 504, and where something
// is written 409 as well. Half of the 500s and 504s come after the call was carried
// out.
type Refusals struct {
	Part float64

	mu     sync.Mutex
	Random *rand.Rand
	made   map[int]int
}

// Fault is what they do to calls.
func (r *Refusals) Fault(_ context.Context, c Call, send Send) (*http.Response, error) {
	code, after := r.choose(c)
	if code == 0 {
		return send()
	}
	if after {
		resp, err := send()
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
	}
	return answer(code), nil
}

func (r *Refusals) choose(c Call) (code int, after bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Random.Float64() >= r.Part {
		return 0, false
	}
	codes := []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	switch c.Verb {
	case "create", "update", "patch", "delete":
		codes = append(codes, http.StatusConflict)
	}
	code = codes[r.Random.IntN(len(codes))]
	if r.made == nil {
		r.made = map[int]int{}
	}
	r.made[code]++
	after = c.Verb != "watch" && (code == http.StatusInternalServerError || code == http.StatusGatewayTimeout) && r.Random.IntN(2) == 0
	return code, after
}

// Made are how many of each status there were.
func (r *Refusals) Made() map[int]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.made)
}

var reasons = map[int]metav1.StatusReason{
	http.StatusForbidden:           metav1.StatusReasonForbidden,
	http.StatusConflict:            metav1.StatusReasonConflict,
	http.StatusTooManyRequests:     metav1.StatusReasonTooManyRequests,
	http.StatusInternalServerError: metav1.StatusReasonInternalError,
	http.StatusServiceUnavailable:  metav1.StatusReasonServiceUnavailable,
	http.StatusGatewayTimeout:      metav1.StatusReasonTimeout,
}

// answer is the API server's with a status.
func answer(code int) *http.Response {
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reasons[code],
		Message: fmt.Sprintf("the proxy says %s", http.StatusText(code)),
	}
	body, err := json.Marshal(status)
	if err != nil {
		panic(err) // it has nothing that cannot be encoded
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if code == http.StatusTooManyRequests {
		header.Set("Retry-After", "1")
	}
	return &http.Response{
		StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}
