package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/bytedance/sonic"
	"golang.org/x/sync/semaphore"
)

// JSON writes v with a status. Encoding cannot fail in the middle of the body: it
// is done before the first byte is written.
func JSON(w http.ResponseWriter, status int, v any) {
	body, err := sonic.ConfigStd.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer could not be encoded"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body))) // larger ones are sent in chunks otherwise
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error means that the client is gone
}

// Failure is the body of every answer that is not a success.
type Failure struct {
	// Error is one sentence that says what to do.
	Error string `json:"error"`
}

// Error answers with one clear sentence.
func Error(w http.ResponseWriter, status int, format string, args ...any) {
	JSON(w, status, Failure{fmt.Sprintf(format, args...)})
}

// maxPooled is the largest buffer, in bytes, that is kept for the next request:
// more than the names of 5,000 nodes take.
const maxPooled = 1 << 20

// buffers are reused from request to request.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const (
	// freeBody is the size, in bytes, up to which a body is always read: more than
	// what the API server and kube-scheduler send by day.
	freeBody = 256 << 10
	// maxBodies bounds the larger bodies that are read at a time, in bytes.
	maxBodies = 32 << 20
	// bodyWait is how long a larger body waits for others.
	bodyWait = 2 * time.Second
)

// bodies are the larger bodies that are being read.
var bodies = semaphore.NewWeighted(maxBodies)

// reserveBody waits until a body may be read, and returns what to call once it is
// done with. A body of unknown length counts as one of limit bytes.
func reserveBody(r *http.Request, limit int64) (release func(), ok bool) {
	size := r.ContentLength
	if size < 0 {
		size = limit
	}
	if size <= freeBody {
		return func() {}, true
	}
	ctx, cancel := context.WithTimeout(r.Context(), bodyWait)
	defer cancel()
	size = min(size, maxBodies)
	if bodies.Acquire(ctx, size) != nil {
		return nil, false
	}
	return func() { bodies.Release(size) }, true
}

// Body reads a JSON request's body of at most limit bytes and passes it to use,
// which must not keep it. It answers a request that is wrong itself with a 4xx and
// one sentence, and 503 where too many large bodies come at once.
func Body(w http.ResponseWriter, r *http.Request, limit int64, use func([]byte)) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		Error(w, http.StatusUnsupportedMediaType, "send the body as Content-Type: application/json, not %q", r.Header.Get("Content-Type"))
		return
	}
	tooLarge := func() {
		Error(w, http.StatusRequestEntityTooLarge, "the body is larger than the %d bytes that are read here", limit)
	}
	// A client that waits for "100 Continue", as curl does, need not send it.
	if r.ContentLength > limit {
		tooLarge()
		return
	}
	release, ok := reserveBody(r, limit)
	if !ok {
		w.Header().Set("Retry-After", "1")
		Error(w, http.StatusServiceUnavailable, "too many large bodies are being read: try again in a second")
		return
	}
	defer release()
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxPooled {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	// A stated length reserves only so much before the bytes have come.
	if n := r.ContentLength; n > 0 {
		buf.Grow(int(min(n, limit, maxPooled/2)) + bytes.MinRead)
	}
	switch _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, limit)); {
	case errors.As(err, new(*http.MaxBytesError)):
		tooLarge()
	case err != nil:
		Error(w, http.StatusBadRequest, "the body ended too early: send it again")
	case buf.Len() == 0:
		Error(w, http.StatusBadRequest, "the body is empty: send a JSON object")
	default:
		use(buf.Bytes())
	}
}
