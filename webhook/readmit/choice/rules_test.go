package choice

import (
	"testing"
	"time"
)

func TestEligibleAt(t *testing.T) {
	rules := Rules{Backoff: 5 * time.Second}
	created := time.Unix(1_700_000_000, 0)
	for count, want := range map[int]time.Duration{
		-1: 0, 0: 0, 1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 9: 1280 * time.Second, 11: time.Hour, 1 << 40: time.Hour,
	} {
		if got := rules.EligibleAt(created, count).Sub(created); got != want {
			t.Errorf("recreated %d times: is left alone for %s, want %s", count, got, want)
		}
	}
}
