package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"heteroaccel.io/e2e/process"
)

// Process is a program that runs beside the cluster.
type Process = process.Process

// StartProcess runs a program beside the cluster: its output goes to
// logs/NAME.log, its working directory is the cluster's, env ("KEY=value")
// adds to this program's. It runs until its Stop or the cluster's. A name may
// be used again once its process ended.
func (c *Cluster) StartProcess(name, path string, args, env []string) (*Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, fmt.Errorf("start %s: the cluster is stopped", name)
	}
	before := slices.IndexFunc(c.processes, func(p *Process) bool { return p.Name() == name })
	if before >= 0 && !c.processes[before].Ended() {
		return nil, fmt.Errorf("start %s: a process of that name runs already", name)
	}
	p, err := process.Start(process.Spec{Name: name, Path: path, Args: args, Env: env, Dir: c.dir, Log: c.path("logs", name+".log")})
	if err != nil {
		return nil, err
	}
	if before >= 0 {
		c.processes[before] = p // it ends when its predecessor would have
	} else {
		c.processes = append(c.processes, p)
	}
	return p, nil
}

// Process returns the latest process of that name, nil when there is none. The
// control plane's are called as their programs are.
func (c *Cluster) Process(name string) *Process {
	for _, p := range c.Processes() {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// Processes returns the latest process of each name, running or not, in the
// order in which the names were first started.
func (c *Cluster) Processes() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Process(nil), c.processes...)
}

// service is a program of the control plane that is ready when a URL answers
// 200.
type service struct {
	name, path string
	// ports is how many ports it needs, at what those that it must have, as
	// when others know its address from an earlier start.
	ports int
	at    []int
	args  func(ports []int) []string
	// health is the path on its first port that tells whether it is ready;
	// plain says that it is served without TLS.
	health string
	plain  bool
	env    []string
}

// serve starts a service, waits until it is ready and returns its ports. A
// port that somebody else took meanwhile is replaced.
func (c *Cluster) serve(ctx context.Context, s service) (ports []int, err error) {
	begin := time.Now()
	client, err := c.healthClient()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	for range 5 {
		ports = slices.Clone(s.at)
		for range s.ports - len(ports) {
			port, err := FreePort()
			if err != nil {
				return nil, err
			}
			ports = append(ports, port)
		}
		path, args := c.at.command(s.path, s.args(ports))
		p, err := c.StartProcess(s.name, path, args, s.env)
		if err != nil {
			return nil, err
		}
		scheme := "https"
		if s.plain {
			scheme = "http"
		}
		url := fmt.Sprintf("%s://%s:%d", scheme, c.at.Address, ports[0])
		err = c.wait(ctx, s.name, p, func(ctx context.Context) error { return healthy(ctx, client, url+s.health) })
		if err == nil {
			c.mu.Lock()
			c.urls[s.name] = url
			c.mu.Unlock()
			c.sayf("%-24s ready in %.1f s", s.name, time.Since(begin).Seconds())
			return ports, nil
		}
		if !p.Ended() || len(s.at) > 0 || !strings.Contains(p.Said(), "address already in use") {
			return nil, err
		}
	}
	return nil, fmt.Errorf("start %s: five ports in turn were taken by other programs: try again", s.name)
}

// healthClient trusts the cluster's CA and acts as the administrator.
func (c *Cluster) healthClient() (*http.Client, error) {
	cert, key, err := c.ca.Client("admin", []string{adminGroup})
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("make a client for health checks: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.ca.Certificate())
	return &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}},
	}, nil
}

func healthy(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return err // it names the URL
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(url + " answered " + response.Status + ": " + strings.TrimSpace(string(body)))
	}
	return nil
}
