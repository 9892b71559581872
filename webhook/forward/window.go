package forward

import "time"

const (
	// defaultTimeout and maxTimeout are the API server's for a webhook.
	defaultTimeout = 10 * time.Second
	maxTimeout     = 30 * time.Second
	// margin is for the answer's way back. The API server's deadline may have begun
	// before the review was sent, and it rounds what it says of it up to a second.
	margin = 500 * time.Millisecond
)

// window is how long a review may take, given the query parameter timeout that the API
// server sends with it, such as "10s".
func window(timeout string) time.Duration {
	d, err := time.ParseDuration(timeout)
	if err != nil || d <= 0 {
		d = defaultTimeout
	}
	d = min(d, maxTimeout)
	return d - min(margin, d/2)
}

// share is how long one attempt at a leader may take of what is left: a part, so that
// time is left for the next leader where this one was paused, or its machine vanished.
func share(left time.Duration) time.Duration { return max(left/3, 500*time.Millisecond) }

// pause is how long to wait before the same leader is tried again.
func pause(failures int) time.Duration {
	return min(20*time.Millisecond<<min(failures, 10), 500*time.Millisecond)
}
