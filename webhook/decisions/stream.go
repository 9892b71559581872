package decisions

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"

	"heteroaccel.io/pkg/journal"
	"heteroaccel.io/pkg/serve"
)

const (
	// maxHeld bounds the requests that wait for an entry at a time; others are answered at
	// once.
	maxHeld = 32
	// holdFor is how long a request waits for an entry.
	holdFor = 10 * time.Second
)

// Stream serves the entries as they come, by requests that wait for the next: each says
// after which entry of which journal it goes on. It answers at once when ctx ends.
func (r *Recorder) Stream(ctx context.Context) http.Handler {
	held := semaphore.NewWeighted(maxHeld)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		after, err := strconv.ParseUint(req.URL.Query().Get("after"), 10, 64)
		if err != nil || req.URL.Query().Get("journal") != r.journal.ID() {
			after = 0 // of another process, or the first request
		}
		entries, lost, more := r.journal.Since(after)
		if len(entries) == 0 && held.TryAcquire(1) {
			timer := time.NewTimer(holdFor)
			select {
			case <-more:
			case <-timer.C:
			case <-req.Context().Done():
			case <-ctx.Done():
			}
			timer.Stop()
			held.Release(1)
			entries, lost, _ = r.journal.Since(after)
		}
		serve.JSON(w, http.StatusOK, journal.Part{Journal: r.journal.ID(), Lost: lost, Entries: append([]journal.Entry{}, entries[:min(len(entries), journal.MaxPart)]...)})
	})
}
