package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

// drain is how long running requests may take to finish at a shutdown: less than
// Kubernetes' default grace period of 30 s.
const drain = 10 * time.Second

// Run serves handler on addr until ctx ends, then lets the running requests
// finish. With a tls.Config it serves HTTPS. It returns nil after an orderly
// shutdown.
func Run(ctx context.Context, addr string, handler http.Handler, tlsConfig *tls.Config, log zerolog.Logger) error {
	return run(ctx, addr, handler, tlsConfig, log, nil)
}

// RunReplica is Run for a server that has replicas: when ctx ends, its clients leave
// for the others before it stops listening, without a request that is lost. That takes
// 3 s at most, and needs that no new client is sent here any more by then.
func RunReplica(ctx context.Context, addr string, handler http.Handler, tlsConfig *tls.Config, log zerolog.Logger) error {
	clients := newLeaving()
	return run(ctx, addr, clients.answer(handler), tlsConfig, log, clients)
}

// run is Run, and RunReplica with clients.
func run(ctx context.Context, addr string, handler http.Handler, tlsConfig *tls.Config, log zerolog.Logger, clients *leaving) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	srv := &http.Server{
		Handler:     handler,
		TLSConfig:   tlsConfig,
		ConnContext: nameConnection,
		// Slow clients must not hold connections for ever.
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          stdlog.New(log.With().Str("server", addr).Logger(), "", 0),
	}
	if clients != nil {
		srv.ConnState = clients.state
	}
	scheme := "http"
	served := make(chan error, 1)
	go func() {
		if tlsConfig != nil {
			served <- srv.ServeTLS(ln, "", "")
			return
		}
		served <- srv.Serve(ln)
	}()
	if tlsConfig != nil {
		scheme = "https"
	}
	log.Info().Str("address", scheme+"://"+ln.Addr().String()).Msg("listening")
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", addr, err)
	case <-ctx.Done():
	}
	if clients != nil {
		clients.wait()
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shut %s down: %w", addr, err)
	}
	return nil
}
