package world

import "iter"

// waiter is a job in a queue, for as long as its attempt lasts.
type waiter struct {
	job     int
	attempt uint64
}

// queue is who waits for a kind, the first to come first. Who left stays in it
// until somebody looks.
type queue struct {
	waiters []waiter
	first   int
	count   int // of those that still wait
}

func (q *queue) push(a waiter) {
	q.waiters = append(q.waiters, a)
	q.count++
}

// left notes that one of the waiters has gone elsewhere.
func (q *queue) left() { q.count-- }

func (q *queue) pop(stands func(waiter) bool) (waiter, bool) {
	for q.first < len(q.waiters) {
		a := q.waiters[q.first]
		q.first++
		if q.first > 1024 && q.first > len(q.waiters)/2 {
			q.waiters = append(q.waiters[:0], q.waiters[q.first:]...)
			q.first = 0
		}
		if stands(a) {
			q.count--
			return a, true
		}
	}
	return waiter{}, false
}

// all yields who waits, with how many there are before.
func (q *queue) all(stands func(waiter) bool) iter.Seq2[int, waiter] {
	return func(yield func(int, waiter) bool) {
		ahead := 0
		for _, a := range q.waiters[q.first:] {
			if !stands(a) {
				continue
			}
			if !yield(ahead, a) {
				return
			}
			ahead++
		}
	}
}
