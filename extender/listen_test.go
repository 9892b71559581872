package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"heteroaccel.io/extender/access"
	"heteroaccel.io/extender/extendertest"
	"heteroaccel.io/extender/server"
	"heteroaccel.io/pkg/kube"
	"heteroaccel.io/pkg/serve/servetest"
)

// listening is a running extender with the given flags, on the nodes of
// SetGPUNodes and with the pod lab/mine and default/theirs. verbs and pages are its
// addresses, on 127.0.0.1.
type listening struct{ verbs, pages string }

// listen starts one. The pages are at pagesHost.
func listen(t *testing.T, pagesHost string, args ...string) listening {
	t.Helper()
	at := listening{servetest.FreeAddress(t), servetest.FreeAddress(t)}
	_, port, err := net.SplitHostPort(at.pages)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(t, append(args, "--bind-address="+at.verbs, "--pages-bind-address="+net.JoinHostPort(pagesHost, port))...)
	if err != nil {
		t.Fatal(err)
	}
	c := extendertest.New(t, time.Now)
	c.SetGPUNodes()
	handlers, err := server.New(server.Config{
		Inventory: c.Inventory, Profiles: c.Profiles, FollowPods: c.FollowPods,
		Ready: func() error { return nil }, Other: f.other(), Suspended: func() bool { return false }, NotRecreated: func() []kube.NotRecreated { return nil },
		MayList: access.MayList, VerbsAt: f.endpoint(), Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.SetPod(extendertest.Managed("mine", "", "GPU", extendertest.In("lab"), extendertest.GPU, "1"))
	c.SetPod(extendertest.Managed("theirs", "", "GPU", nil, extendertest.GPU, "1"))
	ctx, stop := context.WithCancel(t.Context())
	group, ctx := errgroup.WithContext(ctx)
	if err := f.listen(ctx, group, handlers, &rest.Config{Host: apiServer(t)}, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	})
	for _, address := range []string{at.verbs, at.pages} {
		servetest.Until(t, func() error {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			if err == nil {
				conn.Close()
			}
			return err
		})
	}
	return at
}

// scheduler is kube-scheduler's client of an extender, made as in its extender.go.
func scheduler(t *testing.T, tlsConfig rest.TLSClientConfig) *http.Client {
	t.Helper()
	config, err := rest.TLSConfigFor(&rest.Config{TLSClientConfig: tlsConfig})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// asks makes a request, with a header Authorization if that is not "".
func asks(t *testing.T, client *http.Client, method, url, authorization string) (status int, body string) {
	t.Helper()
	args := io.Reader(nil)
	if method == http.MethodPost {
		args = strings.NewReader(`{"Pod":{"metadata":{"name":"p","namespace":"lab","uid":"u"}},"NodeNames":["idle"]}`)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, args)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}

// files are a certificate's and its key's in a directory of their own.
func files(t *testing.T) (cert, key string) {
	dir := t.TempDir()
	return filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
}

// TestLaptop: without any flag everything is a plain curl on this machine.
func TestLaptop(t *testing.T) {
	at := listen(t, "127.0.0.1")
	if status, body := asks(t, http.DefaultClient, http.MethodPost, "http://"+at.verbs+"/scheduler/filter", ""); status != 200 || !strings.Contains(body, `"idle"`) {
		t.Errorf("filter: %d %s", status, body)
	}
	if status, body := asks(t, http.DefaultClient, http.MethodGet, "http://"+at.pages+"/pods", ""); status != 200 || !strings.Contains(body, "mine") || !strings.Contains(body, "theirs") {
		t.Errorf("/pods: %d %s", status, body)
	}
}

// TestPagesForOthers: off the loopback address the pages go to those whose token the
// API server knows, over HTTPS, and show them what they may list.
func TestPagesForOthers(t *testing.T) {
	ca := newAuthority(t, "servers")
	cert, key := files(t)
	ca.issue(t, "heteroaccel-extender", cert, key)
	at := listen(t, "0.0.0.0", "--tls-cert-file="+cert, "--tls-private-key-file="+key)
	client := scheduler(t, rest.TLSClientConfig{CAFile: ca.file})
	for name, tt := range map[string]struct {
		path, authorization string
		status              int
		shows, hides        string
	}{
		"nobody":           {"/pods", "", 401, "send a header Authorization", "mine"},
		"a wrong token":    {"/pods", "Bearer of-bob", 401, "send a header Authorization", "mine"},
		"her pods":         {"/pods", "Bearer of-ada", 200, "mine", "theirs"},
		"another's pod":    {"/pods/default/theirs", "Bearer of-ada", 403, "you may not list pods", "GPU"},
		"nodes":            {"/nodes", "Bearer of-ada", 403, "you may not list nodes", "idle"},
		"no verbs in here": {"/scheduler/filter", "Bearer of-ada", 404, "nothing at", "idle"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, body := asks(t, client, http.MethodGet, "https://"+at.pages+tt.path, tt.authorization); status != tt.status || !strings.Contains(body, tt.shows) || strings.Contains(body, tt.hides) {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	if status, body := asks(t, http.DefaultClient, http.MethodGet, "http://"+at.pages+"/pods", "Bearer of-ada"); status == 200 || strings.Contains(body, "mine") {
		t.Errorf("over plain HTTP: %d %s", status, body)
	}
}

// TestVerbsForTheScheduler: with a CA of clients nobody but kube-scheduler asks.
func TestVerbsForTheScheduler(t *testing.T) {
	ca, other := newAuthority(t, "own"), newAuthority(t, "other")
	cert, key := files(t)
	ca.issue(t, "heteroaccel-extender", cert, key)
	at := listen(t, "127.0.0.1", "--tls-cert-file="+cert, "--tls-private-key-file="+key, "--client-ca-file="+ca.file, "--client-allowed-names=system:kube-scheduler")
	for name, tt := range map[string]struct {
		ca     *authority
		name   string
		status int
		says   string
	}{
		"kube-scheduler": {ca, "system:kube-scheduler", 200, `"idle"`},
		"another name":   {ca, "camera", 401, "requests are taken from kube-scheduler alone"},
		"another CA":     {other, "system:kube-scheduler", 401, "requests are taken from kube-scheduler alone"},
		"no certificate": {nil, "", 401, "requests are taken from kube-scheduler alone"},
	} {
		t.Run(name, func(t *testing.T) {
			config := rest.TLSClientConfig{CAFile: ca.file}
			if tt.ca != nil {
				config.CertFile, config.KeyFile = files(t)
				tt.ca.issue(t, tt.name, config.CertFile, config.KeyFile)
			}
			client := scheduler(t, config)
			for _, verb := range []string{"filter", "prioritize", "preempt"} {
				status, body := asks(t, client, http.MethodPost, "https://"+at.verbs+"/scheduler/"+verb, "")
				if status != tt.status && !(tt.status == 200 && verb == "preempt") || verb == "filter" && !strings.Contains(body, tt.says) {
					t.Errorf("%s: %d %s, want %d with %q", verb, status, body, tt.status, tt.says)
				}
			}
		})
	}
	if status, body := asks(t, http.DefaultClient, http.MethodGet, "http://"+at.pages+"/pods", ""); status != 200 || !strings.Contains(body, "theirs") {
		t.Errorf("the pages are a plain curl on this machine still: %d %s", status, body)
	}
}

// TestSchedulersFilesAreRenewed as deploy/scheduler says: kube-scheduler reads its
// certificate again for its next connection, and the CA of the extender's only when
// it starts.
func TestSchedulersFilesAreRenewed(t *testing.T) {
	before, after := newAuthority(t, "before"), newAuthority(t, "after")
	cert, key := files(t)
	before.issue(t, "heteroaccel-extender", cert, key)
	at := listen(t, "127.0.0.1", "--tls-cert-file="+cert, "--tls-private-key-file="+key, "--client-ca-file="+after.file)
	own := rest.TLSClientConfig{ServerName: "heteroaccel-extender.heteroaccel-system.svc", CAFile: before.file}
	own.CertFile, own.KeyFile = files(t)
	before.issue(t, "system:kube-scheduler", own.CertFile, own.KeyFile)
	client := scheduler(t, own)
	filter := func(client *http.Client) (int, string) {
		return asks(t, client, http.MethodPost, "https://"+at.verbs+"/scheduler/filter", "")
	}
	if status, body := filter(client); status != http.StatusUnauthorized {
		t.Fatalf("a certificate of the CA before: %d %s", status, body)
	}
	after.issue(t, "system:kube-scheduler", own.CertFile, own.KeyFile)
	servetest.Until(t, func() error { // at most a second later
		if status, body := filter(client); status != 200 {
			return fmt.Errorf("the renewed certificate is not shown: %d %s", status, body)
		}
		return nil
	})
	after.issue(t, "heteroaccel-extender", cert, key)
	servetest.Until(t, func() error { // the extender reads its own again
		if status, body := filter(scheduler(t, own)); status != 0 {
			return fmt.Errorf("the extender still has its certificate of the CA before: %d %s", status, body)
		}
		return nil
	})
	renewed := own
	renewed.CAFile = after.file
	if status, body := filter(scheduler(t, renewed)); status != 200 {
		t.Errorf("a kube-scheduler that was started again, with the CA after: %d %s", status, body)
	}
}
