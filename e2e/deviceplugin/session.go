package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	// registerLimit is how long the kubelet may take to answer; it calls back
	// before it does.
	registerLimit = 10 * time.Second
	// pause is how long to wait after a session that failed.
	pause = time.Second
)

// socket is the plugin's own.
func (p *plugin) socket() string {
	return filepath.Join(p.dir, strings.ReplaceAll(p.resource, "/", "_")+".sock")
}

// kubelet is the socket at which plugins register.
func (p *plugin) kubelet() string { return filepath.Join(p.dir, filepath.Base(api.KubeletSocket)) }

// Run serves the resource until ctx ends. The kubelet empties its directory
// when it starts: then the plugin serves and registers anew.
func (p *plugin) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.session(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn().Err(err).Msg("not served")
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
	return nil
}

// session waits for the kubelet, serves, registers, and returns nil when the
// kubelet has started anew or ctx has ended.
func (p *plugin) session(ctx context.Context) error {
	// Before it is watched: what this session itself removes is no news to it.
	if err := os.Remove(p.socket()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket of a run before: %w", err)
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", p.dir, err)
	}
	defer watcher.Close()
	if err := watcher.Add(p.dir); err != nil {
		return fmt.Errorf("watch %s: %w", p.dir, err)
	}
	if there, err := p.await(ctx, watcher); err != nil || !there {
		return err
	}
	listener, err := net.Listen("unix", p.socket())
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Stop() // closes the streams, and removes the socket
	if err := p.register(ctx); err != nil {
		return err
	}
	p.log.Info().Msg("registered")
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case err := <-watcher.Errors:
			return fmt.Errorf("watch %s: %w", p.dir, err)
		case event := <-watcher.Events:
			// A new socket has a new name in the directory, but may have the
			// old one's inode: only the event tells.
			anew := event.Name == p.kubelet() && event.Has(fsnotify.Create)
			lost := event.Name == p.socket() && event.Has(fsnotify.Remove|fsnotify.Rename)
			if anew || lost {
				p.log.Info().Bool("kubelet_started", anew).Bool("socket_removed", lost).Msg("registering again")
				return nil
			}
		}
	}
}

// await waits until the kubelet's socket is there, and reports false when ctx
// ended first.
func (p *plugin) await(ctx context.Context, watcher *fsnotify.Watcher) (bool, error) {
	for told := false; ; told = true {
		_, err := os.Stat(p.kubelet())
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("look for the kubelet: %w", err)
		}
		if !told {
			p.log.Info().Str("socket", p.kubelet()).Msg("waiting for the kubelet")
		}
		select {
		case <-ctx.Done():
			return false, nil
		case err := <-watcher.Errors:
			return false, fmt.Errorf("watch %s: %w", p.dir, err)
		case <-watcher.Events:
		}
	}
}

// register tells the kubelet of the plugin.
func (p *plugin) register(ctx context.Context) error {
	conn, err := grpc.NewClient("unix:"+p.kubelet(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, registerLimit)
	defer cancel()
	_, err = api.NewRegistrationClient(conn).Register(ctx, &api.RegisterRequest{
		Version: api.Version, Endpoint: filepath.Base(p.socket()), ResourceName: p.resource,
		Options: &api.DevicePluginOptions{},
	})
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}
