package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// remembered is how many failures a report has the words of.
const remembered = 50

// Answer is what the server answers: who it is, and on what device it runs.
type Answer struct {
	Pod    string `json:"pod"`
	Device string `json:"device"`
}

// Failure is a request that was not answered as it should have been.
type Failure struct {
	// Begin is when it was sent, and Took how many seconds passed until it failed.
	Begin time.Time `json:"begin"`
	Took  float64   `json:"took"`
	Error string    `json:"error"`
}

// Report is what became of the requests so far. Those that are under way are not in it.
type Report struct {
	// Begin is when the first request was sent that counts, and Seconds how long ago.
	Begin   time.Time `json:"begin"`
	Seconds float64   `json:"seconds"`
	// Requests is how many have ended, Failed how many of them failed, and Failures the
	// first of these.
	Requests int       `json:"requests"`
	Failed   int       `json:"failed"`
	Failures []Failure `json:"failures"`
	// Answers are how many each pod answered, Devices on what device it was, and Slowest
	// how many seconds an answer took at most.
	Answers map[string]int    `json:"answers"`
	Devices map[string]string `json:"devices"`
	Slowest float64           `json:"slowest"`
}

// Rate is how many requests there were each second.
func (r *Report) Rate() float64 { return float64(r.Requests) / r.Seconds }

// Load asks URL, from when Run is called. It serves its report.
type Load struct {
	URL string
	// Every is how often it asks, and Limit how long an answer may take.
	Every, Limit time.Duration
	// Begun is called once the server has answered, from when on requests count.
	Begun func()

	mu     sync.Mutex
	report Report
}

// Run asks until ctx ends, and then waits for the answers. What it asks before the server
// first answers does not count. Where it was kept from asking for a while, it catches up.
func (l *Load) Run(ctx context.Context) {
	// A request that fails on a new connection is not repeated by http.Transport.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: l.Limit}
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var underWay sync.WaitGroup
	defer underWay.Wait()
	for counts := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next = next.Add(l.Every)
		timer.Reset(time.Until(next))
		if counts {
			underWay.Go(func() { l.count(ctx, client) })
			continue
		}
		if _, err := ask(ctx, client, l.URL); err == nil {
			counts, next = true, time.Now()
			timer.Reset(0)
			l.mu.Lock()
			l.report = Report{Begin: time.Now(), Answers: map[string]int{}, Devices: map[string]string{}}
			l.mu.Unlock()
			l.Begun()
		}
	}
}

// count sends one request. One that is under way when ctx ends is still answered.
func (l *Load) count(ctx context.Context, client *http.Client) {
	begin := time.Now()
	answer, err := ask(context.WithoutCancel(ctx), client, l.URL)
	took := time.Since(begin).Seconds()
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.report
	r.Requests++
	if err != nil {
		r.Failed++
		if len(r.Failures) < remembered {
			r.Failures = append(r.Failures, Failure{Begin: begin, Took: took, Error: err.Error()})
		}
		return
	}
	r.Answers[answer.Pod]++
	r.Devices[answer.Pod] = answer.Device
	r.Slowest = max(r.Slowest, took)
}

func ask(ctx context.Context, client *http.Client, url string) (answer Answer, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer, err // it names the URL
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("the answer is %s: %.200s", resp.Status, body)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, fmt.Errorf("read the answer %.200q: %w", body, err)
	}
	if answer.Pod == "" {
		return answer, fmt.Errorf("the answer %.200q is no server's", body)
	}
	return answer, nil
}

// ServeHTTP answers with the report, or 503 before the server first answered.
func (l *Load) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.report.Begin.IsZero() {
		http.Error(w, "the server has not answered yet", http.StatusServiceUnavailable)
		return
	}
	l.report.Seconds = time.Since(l.report.Begin).Seconds()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(&l.report) // whoever asked has gone
}
