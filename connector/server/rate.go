package server

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// rates are the request rates of clients, of the last that asked.
type rates struct {
	limits Limits
	known  *lru.Cache[string, *rate.Limiter]
}

// clients bounds of how many clients the rate is kept.
const clients = 16384

func newRates(l Limits) *rates {
	known, err := lru.New[string, *rate.Limiter](clients)
	if err != nil {
		panic(err) // the size is a constant above 0
	}
	return &rates{limits: l, known: known}
}

// take takes a request of a client, and returns how long it is too early by.
func (r *rates) take(client string, now time.Time) (wait time.Duration) {
	l, ok := r.known.Get(client)
	if !ok {
		l = rate.NewLimiter(rate.Limit(r.limits.Rate), r.limits.Burst)
		if first, had, _ := r.known.PeekOrAdd(client, l); had {
			l = first
		}
	}
	booked := l.ReserveN(now, 1)
	if wait = booked.DelayFrom(now); wait > 0 {
		booked.CancelAt(now)
	}
	return wait
}
