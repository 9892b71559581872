package serve

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestLargeBodies: however many large bodies come at once, few are in memory, and
// small ones pass by.
func TestLargeBodies(t *testing.T) {
	const limit, clients = 8 << 20, 32
	var mu sync.Mutex
	held, most := 0, 0
	full, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Body(w, r, limit, func(body []byte) {
			if len(body) <= freeBody {
				return
			}
			mu.Lock()
			held += len(body)
			most = max(most, held)
			if held == maxBodies {
				once.Do(func() { close(full) })
			}
			mu.Unlock()
			<-leave
			mu.Lock()
			held -= len(body)
			mu.Unlock()
		})
	}))
	defer s.Close()
	post := func(body io.Reader) int {
		resp, err := http.Post(s.URL, "application/json", body)
		if err != nil {
			t.Error(err)
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	large := bytes.Repeat([]byte(" "), limit)
	codes := make(chan int)
	for i := range clients {
		body := io.Reader(bytes.NewReader(large))
		if i%2 == 0 {
			body = io.MultiReader(body) // of unknown length
		}
		go func() { codes <- post(body) }()
	}
	<-full
	if code := post(strings.NewReader("{}")); code != http.StatusOK {
		t.Errorf("a small body among large ones: %d", code)
	}
	const read = maxBodies / limit
	for range clients - read {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("one more large body: %d", code)
		}
	}
	close(leave)
	for range read {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("one of the first large bodies: %d", code)
		}
	}
	if most > maxBodies {
		t.Errorf("%d bytes were held at once", most)
	}
	if code := post(bytes.NewReader(large)); code != http.StatusOK {
		t.Errorf("once they are done with: %d", code)
	}
}
